"""What makes two runs the same experiment: the condition hash.

All runs whose config differs in nothing but the seed share a condition. Paths enter as fingerprints of what they
hold, so that moving a data set or a model does not make another experiment, and changing one does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from exp.run.files import write_json

log = logging.getLogger(__name__)

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
    "cost",
    "notes",
)
# When to save, log or predict; see `_counts_here` for where one of them does matter.
SCHEDULING = (
    "save_strategy",
    "save_steps",
    "save_total_limit",
    "logging_strategy",
    "logging_steps",
    "do_predict",
)

# Options added after the first release, with the default they were introduced with. One that still stands at
# that default is left out, so that adding an option changes no older hash.
ADDED: dict[str, Any] = {
    "averaging._target_": "exp.optim.averaging.NoAveraging",
    "data.shuffle_buffer": 10_000,
    "data.streaming": False,
    "distributed._target_": "exp.distributed.options.Ddp",
    "distributed.processes": 1,
    "eval_max_tokens": None,
    "folds": None,
    "freeze._target_": "exp.optim.freeze.NoFreeze",
    "init_checkpoint": None,
    "max_tokens": None,
    "loss._target_": "exp.loss.own.OwnLoss",
    "optimizer.groups": [],
    "speed.cuda_graphs": False,
    "speed.first_token_only": False,
    "speed.fused_gelu": False,
    "speed.keep_embedding_gradients": True,
    "speed.onednn_linear": "auto",
}

# Folders that exp, Python and version control write beside a data set.
NOT_DATA = ("outputs", "multirun", "__pycache__")

PATHS = ("path", "_file", "_files", "checkpoint")  # how keys end whose values are paths

Fingerprints = dict[str, Any]  # dotted key of the config -> sha256 of what the path there holds


def counts(key: str) -> bool:
    """Whether a dotted key of the config belongs to the condition.

    Of the group `distributed` the number of processes does, which multiplies the batch, and whether the model is cut,
    which rounds otherwise; the rest says how bytes travel.
    """
    group = key.partition(".")[0]
    return group not in NOT_PART and (group != "distributed" or key in ADDED)


def condition_hash(
    config: Mapping[str, Any], cache_dir: Path | None = None, known: Mapping[str, Any] | None = None
) -> str:
    """Twelve hex digits over the resolved `config` (plain containers).

    Args:
        cache_dir: where fingerprints are remembered.
        known: fingerprints that were taken before, by dotted key; the paths are then not read.
    """
    prints = fingerprints(config, cache_dir) if known is None else known
    kept = {}
    for key, value in sorted(flatten(config)):
        if not _counts_here(key, config) or (key in ADDED and ADDED[key] == value):
            continue
        kept[key] = prints.get(key, _canonical(_meant(key, value, config)))
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def _counts_here(key: str, config: Mapping[str, Any]) -> bool:
    if key in SCHEDULING:
        # A rewind goes back to the newest checkpoint, so there it matters when one was saved.
        return key.startswith("save_") and config.get("on_bad_loss") == "rewind"
    return counts(key) and not (key == "eval_steps" and config.get("eval_strategy") != "steps")


def _meant(key: str, value: Any, config: Mapping[str, Any]) -> Any:
    return config.get("logging_steps") if key == "eval_steps" and value is None else value


def fingerprints(config: Mapping[str, Any], cache_dir: Path | None = None) -> Fingerprints:
    """Of every path in `config` that exists and counts: keys that end with `path`, `_file`, `_files` or `checkpoint`.

    Where a part names files, they count, and the rest of the folder that its `path` names does not (its value is None).
    """
    found: Fingerprints = {}
    flat = dict(flatten(config))
    for key, value in flat.items():
        if not counts(key) or not any(part.endswith(PATHS) for part in key.split(".")):
            continue
        folder = flat.get(f"{key.partition('.')[0]}.path")
        values = [_fingerprint_of(folder, item, cache_dir) for item in (value if isinstance(value, list) else [value])]
        if values and None not in values:
            found[key] = values if isinstance(value, list) else values[0]
    for key in [key for key in found if key.endswith(".path")]:
        if any(other.startswith(key.removesuffix("path")) and other != key for other in found):
            found[key] = None
    return found


def _fingerprint_of(folder: Any, value: Any, cache_dir: Path | None) -> str | None:
    """None where `value` names nothing that exists, be it in the part's `folder` or in the working folder."""
    if not isinstance(value, str) or not value:
        return None
    for root in (folder, None):
        path = (Path(root or "").expanduser() if isinstance(root, str) else Path()) / Path(value).expanduser()
        if (path / "run.json").is_file() and (path / "model").is_dir():
            path = path / "model"  # a teacher counts by its weights, not by its logs
        try:
            if path.exists():
                return "sha256:" + fingerprint(path, cache_dir)
            if found := sorted(path.parent.glob(path.name)):
                return "sha256:" + " ".join(fingerprint(item, cache_dir) for item in found)
        except (OSError, ValueError):  # a name that is too long, a file that may not be read
            continue
    return None


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values; lists count as values."""
    for key, value in config.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, dotted + ".")
        else:
            yield dotted, value


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 3 epochs and 3.0 epochs are one condition
    return [_canonical(item) for item in value] if isinstance(value, list) else value


def fingerprint(path: Path, cache_dir: Path | None = None) -> str:
    """sha256 over the names and contents of all files at `path`, without what exp itself writes there.

    Hashing a model takes about a second a gigabyte, so with `cache_dir` the answer is kept for as long as no name,
    size or modification time changes.
    """
    cache_dir = cache_dir.expanduser() if cache_dir is not None else None
    files = [path] if path.is_file() else sorted(_files(path, cache_dir))
    names = [item.relative_to(path).as_posix() if item != path else "" for item in files]
    stats = [(name, (at := file.stat()).st_size, at.st_mtime_ns) for name, file in zip(names, files, strict=True)]
    memo = None
    if cache_dir is not None:
        asked = hashlib.sha256(json.dumps([str(path.resolve()), stats]).encode()).hexdigest()
        memo = cache_dir / "fingerprints" / f"{asked}.json"
        if (remembered := _remembered(memo)) is not None:
            return remembered
    digest = hashlib.sha256()
    for name, file in zip(names, files, strict=True):
        with file.open("rb") as stream:
            digest.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    if memo is not None:
        try:
            memo.parent.mkdir(parents=True, exist_ok=True)
            write_json(memo, digest.hexdigest())
        except OSError as error:
            _say_once(f"fingerprints are not kept: {memo.parent} cannot be written ({error.strerror or error})")
    return digest.hexdigest()


@lru_cache
def _say_once(text: str) -> None:
    log.warning("%s", text)


def _files(folder: Path, cache_dir: Path | None) -> Iterator[Path]:
    """All files below; not run folders, caches, hidden entries and links that lead nowhere."""
    cache = cache_dir.resolve() if cache_dir is not None else None
    for place, folders, names in os.walk(folder):
        here = Path(place)
        if here != folder and ("run.json" in names or ".hydra" in folders or here.resolve() == cache):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and name not in NOT_DATA]
        yield from (here / name for name in names if not name.startswith(".") and (here / name).is_file())


def _remembered(memo: Path) -> str | None:
    try:
        found = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None
