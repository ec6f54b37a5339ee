"""One run, one folder: where its parts lie, and its record run.json."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exp.errors import ExpError
from exp.run import environment
from exp.run.files import write_json
from exp.run.identity import condition_hash
from exp.run.secrets import redacted

SCHEMA = 1
STATUSES = ("running", "completed", "failed", "pruned", "interrupted")


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

    def update(self, **fields: Any) -> None:
        """Merges `fields` into run.json."""
        if not self.kept:
            return
        write_json(self.folder / "run.json", {**read_record(self.folder), **fields})

    def finish(self, status: str, reason: str | None = None) -> None:
        assert status in STATUSES, status
        self.update(status=status, reason=reason, finished=_now(), hardware=environment.hardware())


def create(folder: Path, config: Mapping[str, Any], group: str | None = None) -> Run:
    """Writes run.json with status `running` into a folder that was claimed before."""
    run = Run(
        folder=folder,
        id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        condition=_condition(config),
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
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "created": _now(),
        "finished": None,
        "git": environment.git(Path(__file__).parent) or environment.git(Path.cwd()),
        "packages": environment.packages(),
        "hardware": environment.hardware(),
        "config": dict(config),  # a thousand JSON files are read in the time of fifty YAML files
    }
    write_json(folder / "run.json", redacted(record))
    return run


def reopen(folder: Path, config: Mapping[str, Any]) -> Run:
    """A run that goes on: same id, status `running` again."""
    record = read_record(folder)
    run = Run(folder, record["id"], _condition(config), record["seed"], config)
    run.update(
        status="running",
        reason=None,
        finished=None,
        pid=os.getpid(),
        host=socket.gethostname(),
        condition=run.condition,  # another one where the run was made longer
        config=redacted(dict(config)),
    )
    return run


def _condition(config: Mapping[str, Any]) -> str:
    cache_dir = config.get("cache_dir")
    return condition_hash(config, Path(cache_dir) if cache_dir else None)


def read_record(folder: Path) -> dict[str, Any]:
    """run.json; raises ExpError where there is none, or where a newer exp wrote it."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExpError(f"{folder} is no run folder: it holds no run.json") from None
    except ValueError as error:
        raise ExpError(f"{folder / 'run.json'} is no readable JSON ({error})") from None
    if record.get("schema", 0) > SCHEMA:
        raise ExpError(
            f"{folder} was written by a newer exp (schema {record['schema']}, this one reads {SCHEMA}); upgrade exp"
        )
    return record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved config that the run saved, as plain containers."""
    from omegaconf import OmegaConf

    path = folder / ".hydra" / "config.yaml"
    if not path.exists():
        raise ExpError(f"{folder} holds no {path.relative_to(folder)}: it was not started by exp")
    return OmegaConf.to_container(OmegaConf.load(path), resolve=True)  # type: ignore[return-value]


def seconds_since(moment: str) -> float:
    """Wall seconds since an ISO time of a record."""
    return time.time() - datetime.fromisoformat(moment).timestamp()
