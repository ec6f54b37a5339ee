"""Which run a config would continue, and which keys may change when it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.errors import ExpError
from exp.run.files import user_path
from exp.run.folder import SCHEMA, read_record
from exp.run.identity import condition_hash, counts, flatten
from exp.run.lock import is_locked

# May differ between a run and its continuation: they change no number.
FREE = ("resume", "tracker", "cache_dir", "save_total_limit", "hub", "cost")


def check_version(folder: Path, record: Mapping[str, Any]) -> None:
    if record.get("schema") != SCHEMA or not isinstance(record.get("paths"), dict):
        raise ExpError(
            f"{folder} was started by the first version of exp: this one reads, compares and draws it, and cannot go "
            f"on with it. Start a new run (a complete one's weights: model=pretrained model.path={folder}/model)"
        )


def changes(saved: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose value differs, with (old, new); keys in FREE are left out."""
    old, new = dict(flatten(saved)), dict(flatten(config))
    return {
        key: (old.get(key), new.get(key)) for key in {*old, *new} if not _free(key) and old.get(key) != new.get(key)
    }


def _free(key: str) -> bool:
    group = key.split(".")[0]
    return group in FREE or (group == "distributed" and not counts(key))


def interrupted_run(config: Mapping[str, Any], root: Path) -> Path | None:
    """The newest run below `root` of the same condition and seeds that stopped before its end; None if there is none.

    A run that failed is not taken: it would fail again.
    """
    condition = condition_hash(config, user_path(config["cache_dir"]))
    candidates = []
    for record_path in root.rglob("run.json"):
        folder = record_path.parent
        try:
            record = read_record(folder)
            check_version(folder, record)
        except ExpError:
            continue
        stopped = record["status"] in ("interrupted", "running") and record["condition"] == condition
        if stopped and not _other_seeds(record["config"], config) and not is_locked(folder):
            candidates.append((record["created"], folder))
    return max(candidates)[1] if candidates else None


def _other_seeds(saved: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    return any(saved[key] != config[key] for key in ("seed", "init_seed", "data_seed", "dropout_seed"))
