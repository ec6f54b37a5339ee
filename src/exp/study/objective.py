"""The objective values of a finished run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.errors import ExpError
from exp.metrics.key import Key
from exp.run.result import read_result

RELATIONS = ("<=", ">=")
REDUCTIONS = ("mean", "median", "bound")


@dataclass(frozen=True)
class Objective:
    names: tuple[str, ...]  # empty: whatever the task returns
    directions: tuple[str, ...]
    take: str  # best | last
    reduce: str  # mean | median | bound: over seeds
    bound_errors: float  # standard errors that `bound` takes off the mean
    constraints: Mapping[str, tuple[str, float]]

    def values(self, folder: Path, returned: Any) -> list[float]:
        """One number an objective, from result.json where the run wrote one. Raises ValueError for none or NaN."""
        result = read_result(folder / "result.json")
        if result is None or not self.names:
            found = list(returned) if isinstance(returned, list | tuple) else [returned]
        elif len(self.names) == 1 and self.take == "best" and not self.names[0].startswith("cost/"):
            found = [result["objective"]["value"]]
        else:
            found = [look_up(result, name, self.take) for name in self.names]
        if len(found) != len(self.directions):
            raise ValueError(f"the run gave {len(found)} values for {len(self.directions)} objectives")
        try:
            values = [float(value) for value in found]
        except (TypeError, ValueError):
            raise ValueError(f"the run's objective is no number: {found}") from None
        if any(math.isnan(value) for value in values):
            raise ValueError("the run's objective is NaN")
        return values

    def over_seeds(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """`rows`: one list of objective values a seed."""
        return [
            reduce(column, self.reduce, self.bound_errors, direction)
            for column, direction in zip(zip(*rows, strict=True), self.directions, strict=True)
        ]

    def violations(self, folders: Sequence[Path]) -> dict[str, float]:
        """How far each constraint is broken, the mean over seeds; 0 or less: kept."""
        found = {}
        for key, (relation, bound) in self.constraints.items():
            values = [look_up(read_result(folder / "result.json") or {}, key, "last") for folder in folders]
            mean = statistics.fmean(values)
            found[key] = mean - bound if relation == "<=" else bound - mean
        return found


def reduce(values: Sequence[float], how: str, errors: float, direction: str) -> float:
    """One value of several seeds. `bound` is the mean made worse by `errors` standard errors (sd / sqrt n), so that a
    lucky seed does not win; with one seed it is the value."""
    if how == "median":
        return statistics.median(values)
    mean = statistics.fmean(values)
    if how == "mean" or len(values) < 2:
        return mean
    off = errors * statistics.stdev(values) / math.sqrt(len(values))
    return mean - off if direction == "maximize" else mean + off


def look_up(result: Mapping[str, Any], name: str, take: str) -> float:
    """A metric of result.json. Raises ValueError where the run has not computed it."""
    if name.startswith("cost/"):
        if (value := result.get("cost", {}).get(name.removeprefix("cost/"))) is not None:
            return float(value)
    else:
        table = result.get(take, {})
        key = Key.find(name, table)
        if key is not None and table[key]["value"] is not None:
            return float(table[key]["value"])
    raise ValueError(f"{name} is not in the run's result.json (it has {', '.join(result.get(take, {})) or 'nothing'})")


def read_constraints(given: Mapping[str, Any] | None) -> dict[str, tuple[str, float]]:
    """`cost/peak_memory_bytes: "<= 8e9"` and the like; raises ExpError for anything else."""
    constraints = {}
    for key, text in (given or {}).items():
        relation, bound = str(text).strip()[:2], str(text).strip()[2:]
        try:
            constraints[str(key)] = (relation, float(bound))
        except ValueError:
            relation = ""
        if relation not in RELATIONS:
            raise ExpError(f'constraints.{key}={text!r}: write "<= number" or ">= number"')
    return constraints
