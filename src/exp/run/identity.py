"""What makes two runs the same experiment: the condition hash.

All runs whose config differs in nothing but the seed share a condition. Paths enter as fingerprints of what they
hold, so that moving a data set or a model does not make another experiment, and changing one does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exp.run.files import write_json

# Nothing below changes what a run computes, or it is the seed itself.
NOT_PART = (
    "seed",
    "init_seed",
    "data_seed",
    "dropout_seed",
    "tracker",
    "hydra",
    "resume",
    "cache_dir",
    "hub",
    "notes",
)

# Options added after the first release, with the default they were introduced with. One that still stands at
# that default is left out, so that adding an option changes no older hash.
ADDED: dict[str, Any] = {
    "distributed._target_": "exp.distributed.options.Ddp",
    "distributed.processes": 1,
    "speed.first_token_only": False,
    "speed.keep_embedding_gradients": True,
    "speed.onednn_linear": "auto",
}


def counts(key: str) -> bool:
    """Whether a dotted key of the config belongs to the condition.

    Of the group `distributed` the number of processes does, which multiplies the batch, and whether the model is cut,
    which rounds otherwise; the rest says how bytes travel.
    """
    group = key.partition(".")[0]
    return group not in NOT_PART and (group != "distributed" or key in ADDED)


def condition_hash(config: Mapping[str, Any], cache_dir: Path | None = None) -> str:
    """Twelve hex digits over the resolved `config` (plain containers)."""
    kept = {}
    for key, value in sorted(flatten(config)):
        if not counts(key) or (key in ADDED and ADDED[key] == value):
            continue
        kept[key] = _canonical(key, value, cache_dir)
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values; lists count as values."""
    for key, value in config.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, dotted + ".")
        else:
            yield dotted, value


def _canonical(key: str, value: Any, cache_dir: Path | None) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 3 epochs and 3.0 epochs are one condition
    if isinstance(value, list):
        return [_canonical(key, item, cache_dir) for item in value]
    if isinstance(value, str) and key.rpartition(".")[2].endswith(("path", "_file")) and Path(value).exists():
        return "sha256:" + fingerprint(Path(value), cache_dir)
    return value


def fingerprint(path: Path, cache_dir: Path | None = None) -> str:
    """sha256 over the names and contents of all files at `path`.

    Hashing a model takes about a second a gigabyte, so with `cache_dir` the answer is kept for as long as no name,
    size or modification time changes.
    """
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    names = [item.relative_to(path).as_posix() if item != path else "" for item in files]
    stats = [(name, (at := file.stat()).st_size, at.st_mtime_ns) for name, file in zip(names, files, strict=True)]
    memo = None
    if cache_dir is not None:
        asked = hashlib.sha256(json.dumps([str(path.resolve()), stats]).encode()).hexdigest()
        memo = cache_dir / "fingerprints" / f"{asked}.json"
        if memo.exists():
            return json.loads(memo.read_text())
    digest = hashlib.sha256()
    for name, file in zip(names, files, strict=True):
        with file.open("rb") as stream:
            digest.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    if memo is not None:
        memo.parent.mkdir(parents=True, exist_ok=True)
        write_json(memo, digest.hexdigest())
    return digest.hexdigest()
