"""What the rules measure on a curve: chance levels, window means, generalisation loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

from exp.curves.curve import EMPTY, Curve, Facts, Series, eval_metrics
from exp.metrics.key import Key


def generalisation_loss(value: float, lowest: float) -> float:
    """Percent above the lowest evaluation loss so far (Prechelt 1998, GL)."""
    return 100.0 * (value / lowest - 1.0) if lowest > 0 else 0.0


def floors(curve: Curve, facts: Facts) -> Mapping[str, tuple[float, float]]:
    """For each eval metric whose chance level is known: that level, and its standard error at n examples.

    Accuracy: the majority share p, sqrt(p (1 - p) / n). Correlations: 0, 1 / sqrt(n - 1), the standard error
    under independence (for Matthews correlation through chi squared: phi = sqrt(chi2 / n)).
    """
    n = facts.eval_examples
    if not n or n < 2:
        return {}
    known = {}
    for key in eval_metrics(curve):
        name = Key.of(key).name
        if not len(curve.get(key)):
            continue
        if name == "accuracy" and facts.majority_share is not None:
            p = facts.majority_share
            known[key] = (p, math.sqrt(p * (1 - p) / n))
        elif any(word in name for word in ("matthews", "mcc", "pearson", "spearman")):
            known[key] = (0.0, 1 / math.sqrt(n - 1))
    return known


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


def chance_loss(train: Series, facts: Facts) -> float | None:
    """ln(classes), the cross-entropy of guessing; without classes the first window of the training loss."""
    if facts.classes and facts.classes > 1:
        return math.log(facts.classes)
    return train.values[0] if len(train) and train.values[0] > 0 else None


def value_at(series: Series, step: int) -> float:
    """The last value at or before `step`; the first one where none is that early."""
    value = series.values[0]
    for at, candidate in zip(series.steps, series.values, strict=True):
        if at > step:
            break
        value = candidate
    return value
