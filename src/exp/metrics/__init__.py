"""Metrics that need no network and no lock files. `names` is light; `build` imports `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exp.metrics.metric import Scores


def build(names: Sequence[str]) -> Scores:
    """One `evaluate.Metric` for all of a task's metrics: `add_batch(predictions=, references=)`, `compute()`.

    Predictions and references are class indices, or floats for regression metrics. `compute` returns
    {name: float} with the keys of `exp.metrics.names.produced` and empties the metric. Raises ExpError for
    names that are unknown or mix classification and regression.
    """
    from exp.metrics.metric import Scores

    return Scores(names)
