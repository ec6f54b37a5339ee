"""How often an evaluation set was looked at to choose, and what that alone would give."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from exp.analysis.run_data import RunData
from exp.metrics.key import Key

MANY = 5  # settings from which the best of them is said to be one of many


def expected_largest(count: int) -> float:
    """Of `count` independent standard normals, by the trapezoid rule on P(largest < z) from -8 to 8."""
    steps, reach = 2000, 8.0
    width = 2 * reach / steps
    below = [(0.5 * math.erfc(-(at * width - reach) / math.sqrt(2))) ** count for at in range(steps + 1)]
    return reach - width * (math.fsum(below) - (below[0] + below[-1]) / 2)


def tried(runs: Iterable[RunData], metric: str) -> tuple[int, int]:
    """Settings that were measured on the metric's evaluation set, and how many of them only by pruned runs."""
    seen: dict[str, set[str]] = {}
    for run in runs:
        point = run.best.get(metric)
        if point is not None and math.isfinite(point.value):
            seen.setdefault(run.condition, set()).add(run.status)
    return len(seen), sum(statuses == {"pruned"} for statuses in seen.values())


def said_of_looks(runs: Sequence[RunData], metric: str | None) -> list[str]:
    """That the best is the best of many, and what as many guesses would reach; nothing of a few."""
    count, pruned = tried(runs, metric) if metric else (0, 0)
    if metric is None or count < MANY:
        return []
    of = f" ({pruned} pruned)" if pruned else ""
    guessed = by_chance(runs, metric, count)
    text = f"the best is the best of {count} settings{of} that were tried on {Key.of(metric).split}"
    if guessed is None:
        return [text]
    best, level, error = guessed
    return [f"{text}; the best of {count} guesses would have {best:.4f} (one has {level:.4f} ± {error:.4f})"]


def by_chance(runs: Iterable[RunData], metric: str, count: int) -> tuple[float, float, float] | None:
    """The expected best of `count` guesses, and level and standard error of one, as the task knows them; guesses of
    one set are taken for independent. None where the task knows no level, or of another set than the first."""
    key = Key.of(metric)
    if key.split != "eval":
        return None
    floors = next((run.facts().floors for run in runs if run.data.get("chance")), {})
    level, error = floors.get(key.name, (math.nan, math.nan))
    if not (math.isfinite(level) and error > 0):
        return None
    return level + expected_largest(count) * error, level, error
