"""One run as it is read from a run folder or from W&B."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.curves.curve import Curve, Facts, build, facts_of
from exp.curves.rules import verdict
from exp.curves.verdict import Thresholds, Verdict
from exp.metrics.best import Extremes, directions_of
from exp.metrics.key import Key
from exp.run.events import Event, read_events
from exp.run.folder import read_record
from exp.run.identity import flatten
from exp.run.process import lives
from exp.run.result import read_result

if TYPE_CHECKING:
    from exp.task.base import Reading


@dataclass(frozen=True)
class Point:
    """A metric's value (NaN: it was not finite) at an optimizer step."""

    value: float
    step: int


@dataclass(frozen=True)
class RunData:
    """`status` is run.json's, or `died`: running by its record, but its process is gone.

    `config` has dotted keys. `best` and `last` have the metrics' full names (eval/accuracy). `data` is
    run.json's block of facts about the data. `notes` say what is odd about this run.
    """

    source: str  # the run folder, or wandb:entity/project/id
    id: str
    condition: str
    seed: int | None
    group: str
    task: str
    status: str
    reason: str | None
    created: str | None
    finished: str | None
    config: Mapping[str, Any]
    best: Mapping[str, Point]
    last: Mapping[str, Point]
    objective: str | None  # full name of the metric that ranks checkpoints
    cost: Mapping[str, float]
    data: Mapping[str, Any]
    code: str | None  # git commit, with + where the checkout was dirty
    notes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)  # names by group, as the command line had them
    history: tuple[Event, ...] | None = None  # None: in the folder's metrics.jsonl

    @property
    def folder(self) -> Path | None:
        return None if self.source.startswith("wandb:") else Path(self.source)

    def events(self) -> list[Event]:
        """Read anew at each call; a table of a thousand runs needs none of them."""
        if self.history is not None:
            return list(self.history)
        assert self.folder is not None
        return read_events(self.folder / "metrics.jsonl")

    def curve(self) -> Curve:
        return build(self.events())

    def facts(self) -> Facts:
        return facts_of({"data": self.data}, self.folder)

    def reading(self) -> Reading:
        """The reading half of the run's task. Raises ExpError where its package is not trusted here."""
        from exp.task import reading_of

        node = {key.removeprefix("task."): value for key, value in self.config.items() if key.startswith("task.")}
        return reading_of({"task": node} if node else {}, self.data)

    def verdict(self, limits: Thresholds) -> Verdict:
        return verdict(self.curve(), self.facts(), limits)

    def to_json(self) -> dict[str, Any]:
        """Everything but the history."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "history"}
        plain["best"] = {key: asdict(point) for key, point in self.best.items()}
        plain["last"] = {key: asdict(point) for key, point in self.last.items()}
        return plain

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> RunData:
        known = {name: value for name, value in plain.items() if name in RunData.__dataclass_fields__}
        known["best"], known["last"] = _points(plain["best"]), _points(plain["last"])
        known["notes"] = tuple(plain["notes"])
        return RunData(**known)


def read_run(folder: Path) -> RunData:
    """Raises ExpError where run.json is missing, half-written or of a newer schema."""
    record = read_record(folder)
    notes: list[str] = []
    config = record["config"]
    result = read_result(folder / "result.json")
    status, reason = record.get("status", "unknown"), record.get("reason")
    if status == "running" and lives(record) is False:
        status, reason = "died", "its process is gone"
    if result is None:
        if status == "completed":
            notes.append("no readable result.json; best and last come from metrics.jsonl")
        best, last = extremes(read_events(folder / "metrics.jsonl"), directions_of(record.get("data") or {}))
        objective, cost = None, {}
    else:
        best, last = _points(result.get("best", {})), _points(result.get("last", {}))
        objective, cost = result.get("objective", {}).get("name"), result.get("cost", {})
    flat = dict(flatten(config))
    data = record.get("data") or {}
    git = record.get("git") or record.get("project") or {}
    return RunData(
        source=str(folder),
        id=str(record.get("id", folder.name)),
        condition=str(record.get("condition", "?")),
        seed=record.get("seed"),
        group=str(record.get("group") or record.get("condition", "?")),
        task=task_name(data, flat),
        status=status,
        reason=reason,
        created=record.get("created"),
        finished=record.get("finished"),
        config=flat,
        best=best,
        last=last,
        objective=full_name(objective or data.get("objective"), best),
        cost=cost,
        data=data,
        code=git["commit"] + ("+" if git.get("dirty") else "") if git.get("commit") else None,
        notes=tuple(notes),
        options=record.get("options") or {},
    )


def extremes(
    events: Iterable[Event], directions: Mapping[str, bool] | None = None
) -> tuple[dict[str, Point], dict[str, Point]]:
    """Best and last value of every eval and test metric; `directions` as in `exp.metrics.best.rises`."""
    found = Extremes(directions or {})
    for event in events:
        numbers = {
            key: float(value)
            for key, value in event.metrics.items()
            if Key.of(key).kind in ("eval", "test") and isinstance(value, int | float)
        }
        found.add(numbers, event.step)
    return _points(found.best), _points(found.last)


def task_name(data: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """What was trained on: runs of two tasks are never averaged together."""
    target = str(config.get("data._target_") or "").rpartition(".")[2]
    for name in (data.get("name"), config.get("data.name"), config.get("data.task"), target):
        if name:
            return str(name)
    return "unknown task"


def full_name(metric: str | None, known: Collection[str]) -> str | None:
    """`accuracy` -> `eval/accuracy` where only the latter is known; where none is named, any eval metric."""
    if metric:
        return Key.find(metric, known) or metric
    rest = [key for key in known if Key.of(key).split == "eval" and key != "eval/loss"]
    return rest[0] if rest else ("eval/loss" if "eval/loss" in known else None)


def _points(raw: Mapping[str, Any]) -> dict[str, Point]:
    points = {}
    for key, entry in raw.items():
        try:
            value = math.nan if entry["value"] is None else float(entry["value"])
            points[key] = Point(value, int(entry.get("step") or 0))
        except (TypeError, KeyError, ValueError):
            continue
    return points


def dumps(run: RunData) -> str:
    from exp.run.files import finite

    return json.dumps(finite(run.to_json()))
