"""Runs grouped into tasks and conditions, with their statistics: what a table, a report and a file are made of.

Comparison
  tasks: TaskComparison, one for each data set; nothing is averaged over two of them
    keys: config keys that differ between its conditions
    conditions: Condition, sorted
      runs: RunData, with curve() and verdict()
      metrics: full name -> Measured (best and last over seeds)
      paired: difference to the baseline, by seed
  problems: sources that are not counted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from exp.analysis.collection import Problem
from exp.analysis.evidence.results import ItemEvidence
from exp.analysis.run_data import RunData
from exp.analysis.stats import Paired, Summary
from exp.metrics.best import rises

SCHEMA = 1
COUNTED = ("completed",)  # a mean over runs that ended otherwise would compare different lengths
ABSENT = "-"


@dataclass(frozen=True)
class MetricSummary:
    """One metric of one condition. `best_step` is the median step of the best values; `bad` counts NaN."""

    best: Summary
    last: Summary
    best_step: float
    last_step: float
    bad: int


@dataclass(frozen=True)
class Condition:
    """`varies` has a value for each of the task's keys, ABSENT where the config lacks it."""

    id: str
    label: str
    varies: Mapping[str, Any]
    runs: tuple[RunData, ...]
    statuses: Mapping[str, int]
    metrics: Mapping[str, MetricSummary]
    paired: Paired | None
    notes: tuple[str, ...]

    @property
    def counted(self) -> tuple[RunData, ...]:
        return tuple(run for run in self.runs if run.status in COUNTED)

    @property
    def failed(self) -> int:
        """Runs that ended where nobody wanted it; a sweep prunes on purpose."""
        return sum(self.statuses.get(status, 0) for status in ("failed", "died", "interrupted"))


@dataclass(frozen=True)
class TaskComparison:
    """`metric` ranks its conditions and is the one that is tested; `baseline` is a condition's id.

    `directions` is what the runs said of which way their metrics get better, as in `exp.metrics.best.rises`.
    """

    name: str
    metric: str | None
    metrics: tuple[str, ...]
    keys: tuple[str, ...]
    conditions: tuple[Condition, ...]
    baseline: str | None
    notes: tuple[str, ...]
    directions: Mapping[str, bool]
    items: ItemEvidence | None = None  # None: nobody asked for tests over examples

    def rises(self, key: str) -> bool:
        return rises(key, self.directions)


@dataclass(frozen=True)
class Comparison:
    tasks: tuple[TaskComparison, ...]
    problems: tuple[Problem, ...]
    sources: tuple[str, ...]
    created: str

    @property
    def runs(self) -> tuple[RunData, ...]:
        return tuple(run for task in self.tasks for condition in task.conditions for run in condition.runs)

    def to_json(self) -> dict[str, Any]:
        """Plain containers, without curves. NaN stands as NaN here; write with exp.run.files.write_json."""
        return {"schema": SCHEMA, "created": self.created, "sources": list(self.sources)} | {
            "tasks": [_task_json(task) for task in self.tasks],
            "problems": [asdict(problem) for problem in self.problems],
        }


def _task_json(task: TaskComparison) -> dict[str, Any]:
    plain = {name: getattr(task, name) for name in ("name", "metric", "baseline")}
    plain |= {name: list(getattr(task, name)) for name in ("metrics", "keys", "notes")}
    plain["conditions"] = [
        {
            "id": c.id,
            "label": c.label,
            "varies": dict(c.varies),
            "n": len(c.counted),
            "failed": c.failed,
            "statuses": dict(c.statuses),
            "metrics": {key: asdict(value) for key, value in c.metrics.items()},
            "paired": asdict(c.paired) if c.paired else None,
            "notes": list(c.notes),
            "runs": [run.to_json() for run in c.runs],
        }
        for c in task.conditions
    ]
    if task.items is not None:
        plain["items"] = task.items.to_json()
    return plain
