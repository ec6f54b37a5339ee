"""Which config keys a metric hangs on, over runs that differ in several: as a study tells it of its parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exp.analysis.comparison import COUNTED, TaskComparison
from exp.analysis.filters import plain
from exp.analysis.grouping import independent_keys
from exp.metrics.importance import FEWEST, importances

WIDE = 10  # a range over this factor is read on a log axis, as in the report's pictures


@dataclass(frozen=True)
class Importance:
    """`shares`: key -> its share, largest first, empty where there is too little to tell; `note` says what they are."""

    shares: dict[str, float]
    note: str


def importance(task: TaskComparison) -> Importance | None:
    """None where fewer than two keys differ, or where no metric ranks the conditions."""
    keys = independent_keys(task.keys, [condition.varies for condition in task.conditions])
    if len(keys) < 2 or task.metric is None:
        return None
    rows, values, conditions = [], [], set()
    for condition in task.conditions:
        for run in condition.runs:
            point = run.best.get(task.metric)
            if run.status in COUNTED and point is not None and math.isfinite(point.value):
                rows.append([condition.varies[key] for key in keys])
                values.append(point.value)
                conditions.add(condition.id)
    if len(conditions) < FEWEST:
        few = f"{len(conditions)} condition{'s' * (len(conditions) != 1)}"
        return Importance({}, f"Told from {FEWEST} conditions with a completed run on; here {few}: fewer give noise.")
    shares = _shares(keys, rows, values, task.rises(task.metric))
    if not shares:
        return Importance({}, f"The best runs by {task.metric} differ from the others in no option.")
    note = (
        f"PED-ANOVA (Watanabe et al. 2023) over {len(values)} completed runs: each option's share in how the best "
        f"tenth by {task.metric} differs from all. It says what mattered among these values, not which value is better."
    )
    return Importance(shares, note)


def _shares(keys: Sequence[str], rows: list[list[Any]], values: list[float], rises: bool) -> dict[str, float]:
    import optuna

    axes = [_axis([row[at] for row in rows]) for at in range(len(keys))]
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize" if rises else "minimize")
        for number, value in enumerate(values):
            params = {key: cells[number] for key, (cells, _) in zip(keys, axes, strict=True)}
            kinds = {key: kind for key, (_, kind) in zip(keys, axes, strict=True)}
            study.add_trial(optuna.create_trial(params=params, distributions=kinds, value=value))
        return importances(study)
    finally:
        optuna.logging.set_verbosity(level)


def _axis(cells: list[Any]) -> tuple[list[Any], Any]:
    """Numbers on a line, on a log one where they span much; everything else as categories."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    numbers = [float(cell) for cell in cells if isinstance(cell, int | float) and not isinstance(cell, bool)]
    if len(numbers) == len(cells) and all(map(math.isfinite, numbers)) and len(set(numbers)) > 1:
        low, high = min(numbers), max(numbers)
        return numbers, FloatDistribution(low, high, log=low > 0 and high / low >= WIDE)
    words = [plain(cell) for cell in cells]
    return words, CategoricalDistribution(sorted(set(words)))
