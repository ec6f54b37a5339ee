"""One run, one folder: where its parts lie, and its record run.json."""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exp.errors import ExpError
from exp.run import environment, shape
from exp.run.files import user_path, write_json
from exp.run.identity import condition_hash, fingerprints
from exp.run.process import this_process
from exp.run.secrets import redacted

SCHEMA = 2  # 1: the first version's; readable, but no run of it can go on
STATUSES = ("running", "completed", "failed", "pruned", "interrupted")
# What every reader of a record needs.
RECORD_KEYS = ("id", "condition", "status", "config")


@dataclass(frozen=True)
class Run:
    """A run folder that exists. `config` is the resolved config in plain containers, without Hydra's node."""

    folder: Path
    id: str
    condition: str
    seed: int
    config: Mapping[str, Any]
    kept: bool = True  # False: another process keeps the record, this one reads

    @property
    def metrics_path(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def result_path(self) -> Path:
        return self.folder / "result.json"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def model_folder(self) -> Path:
        return self.folder / "model"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions"

    @property
    def errors(self) -> Path:
        return self.folder / "errors"

    def update(self, **fields: Any) -> None:
        """Merges `fields` into run.json."""
        if not self.kept:
            return
        write_json(self.folder / "run.json", redacted({**read_record(self.folder), **fields}))

    def update_data(self, **facts: Any) -> None:
        """Merges `facts` into run.json's block `data`."""
        if self.kept:
            self.update(data={**read_record(self.folder).get("data", {}), **facts})

    def finish(self, status: str, reason: str | None = None) -> None:
        assert status in STATUSES, status
        self.update(status=status, reason=reason, finished=_now(), hardware=environment.hardware())


def name_of(step: int) -> str:
    """The folder of a step's checkpoint, below checkpoints/."""
    return f"step-{step:06d}"


def step_of(path: Path) -> int | None:
    """The step of a checkpoint's folder; None for anything else that lies there (a copy, a link)."""
    named = re.fullmatch(r"step-(\d{6,})", path.name)
    return int(named[1]) if named and path.is_dir() and not path.is_symlink() else None


def create(folder: Path, config: Mapping[str, Any], group: str | None = None) -> Run:
    """Writes run.json with status `running` into a folder that was claimed before."""
    paths = fingerprints(config, _cache_dir(config))
    run = Run(
        folder=folder,
        id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        condition=condition_hash(config, known=paths),
        seed=config["seed"],
        config=config,
    )
    record = {
        "schema": SCHEMA,
        "id": run.id,
        "condition": run.condition,
        "seed": run.seed,
        "group": group or run.condition,
        "status": "running",
        "reason": None,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "cwd": str(Path.cwd()),
        **this_process(),
        "created": _now(),
        "finished": None,
        **surroundings(),
        "hardware": environment.hardware(),
        "paths": paths,
        "config": dict(config),  # a thousand JSON files are read in the time of fifty YAML files
    }
    write_json(folder / "run.json", redacted(record))
    return run


def surroundings() -> dict[str, Any]:
    """The code and the packages as they are now: exp's own checkout, and the user's where it is another one."""
    own = environment.git(Path(__file__).parent, holds=Path(__file__).name)
    here = own is not None and Path.cwd().is_relative_to(own["root"])
    return {
        "git": own,
        "project": None if here else environment.git(Path.cwd()),
        "packages": environment.packages(),
    }


def reopen(folder: Path, config: Mapping[str, Any], **fields: Any) -> Run:
    """A run that goes on: same id, status `running` again; `fields` are what else changes in run.json."""
    record = {**read_record(folder), **fields}
    run = Run(folder, record["id"], record["condition"], record["seed"], config)
    run.update(status="running", reason=None, finished=None, **this_process(), config=dict(config), **fields)
    return run


def _cache_dir(config: Mapping[str, Any]) -> Path | None:
    cache_dir = config.get("cache_dir")
    return user_path(cache_dir) if cache_dir else None


def read_record(folder: Path) -> dict[str, Any]:
    """run.json; raises ExpError where there is none, where it is not a run's, or where a newer exp wrote it."""
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        why = "it holds no run.json" if folder.is_dir() else "it is a file" if folder.exists() else "it is not there"
        raise ExpError(f"{folder} is no run folder: {why}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ExpError(f"{path} is no readable JSON ({getattr(error, 'strerror', None) or error})") from None
    version = record.get("schema", 0) if isinstance(record, dict) else 0
    if isinstance(version, int) and version > SCHEMA:
        raise ExpError(f"{folder} was written by a newer exp (schema {version}, this one reads {SCHEMA}); upgrade exp")
    return shape.checked(record, shape.RECORD, path, RECORD_KEYS)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved config that the run saved, as plain containers."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    path = folder / ".hydra" / "config.yaml"
    if not path.exists():
        raise ExpError(f"{folder} holds no {path.relative_to(folder)}: it was not started by exp")
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=True)  # type: ignore[return-value]
    except (OSError, ValueError, YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise ExpError(f"{path} cannot be read: {' '.join(str(error).split())[:300]}") from None


def seconds_since(moment: str) -> float:
    """Wall seconds since an ISO time of a record."""
    return time.time() - datetime.fromisoformat(moment).timestamp()
