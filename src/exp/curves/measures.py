"""Measures of a learning curve: chance levels, window means, generalisation loss."""

from __future__ import annotations

from collections.abc import Mapping

from exp.curves.curve import EMPTY, Curve, Facts, Series, eval_metrics
from exp.metrics.key import Key


def generalisation_loss(value: float, lowest: float) -> float:
    """Percent above the lowest evaluation loss so far (Prechelt 1998, GL)."""
    return 100.0 * (value / lowest - 1.0) if lowest > 0 else 0.0


def floors(curve: Curve, facts: Facts) -> Mapping[str, tuple[float, float]]:
    """For each eval metric whose chance level the task knows: that level, and its standard error."""
    found = {}
    for key in eval_metrics(curve):
        floor = facts.floors.get(Key.of(key).name)
        if floor is not None and len(curve.get(key)):
            found[key] = floor
    return found


def windows(series: Series, width: int) -> Series:
    """Means over at least `width` optimizer steps, each at its last step; a last shorter one is left out."""
    steps: list[int] = []
    values: list[float] = []
    start, held = 0, []
    for step, value in zip(series.steps, series.values, strict=True):
        held.append(value)
        if step - start >= width:
            steps.append(step)
            values.append(sum(held) / len(held))
            start, held = step, []
    if held and not steps:
        return Series((series.steps[-1],), (sum(held) / len(held),))
    return Series(tuple(steps), tuple(values)) if steps else EMPTY


def chance_loss(train: Series, known: float | None) -> float | None:
    """`known`, the loss of guessing; where there is none the first window of the training loss."""
    if known is not None:
        return known
    return train.values[0] if len(train) and train.values[0] > 0 else None


def value_at(series: Series, step: int) -> float:
    """The last value at or before `step`; the first one where none is that early."""
    value = series.values[0]
    for at, candidate in zip(series.steps, series.values, strict=True):
        if at > step:
            break
        value = candidate
    return value
