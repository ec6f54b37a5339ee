"""Which metrics exist and what their values mean. Light: the config is checked against it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from exp.errors import ExpError, nearest


@dataclass(frozen=True)
class MetricSpec:
    regression: bool  # on floats; otherwise on class indices
    lowest: float
    highest: float
    greater_is_better: bool


METRICS = {
    "accuracy": MetricSpec(regression=False, lowest=0.0, highest=1.0, greater_is_better=True),
    "f1": MetricSpec(regression=False, lowest=0.0, highest=1.0, greater_is_better=True),  # of class 1 of 2
    "f1_macro": MetricSpec(regression=False, lowest=0.0, highest=1.0, greater_is_better=True),
    "matthews_correlation": MetricSpec(regression=False, lowest=-1.0, highest=1.0, greater_is_better=True),
    "pearson": MetricSpec(regression=True, lowest=-1.0, highest=1.0, greater_is_better=True),
    "spearmanr": MetricSpec(regression=True, lowest=-1.0, highest=1.0, greater_is_better=True),
    "mse": MetricSpec(regression=True, lowest=0.0, highest=math.inf, greater_is_better=False),
}

# The mean of a task's metrics where it has several, as GLUE averages them (Wang et al. 2018, table 2).
COMBINED = "combined_score"

# GLUE's own metrics for each task, keys as in evaluate's `glue`; the first is the primary one here.
GLUE = {
    "cola": ("matthews_correlation",),
    "sst2": ("accuracy",),
    "mrpc": ("accuracy", "f1"),
    "stsb": ("pearson", "spearmanr"),
    "qqp": ("accuracy", "f1"),
    "mnli": ("accuracy",),
    "qnli": ("accuracy",),
    "rte": ("accuracy",),
    "wnli": ("accuracy",),
}


def spec(name: str) -> MetricSpec:
    """What is known of a metric that `produced` may name; also of `loss` and `combined_score`."""
    if name == "loss":
        return MetricSpec(regression=False, lowest=0.0, highest=math.inf, greater_is_better=False)
    if name == COMBINED:
        return MetricSpec(regression=False, lowest=-1.0, highest=1.0, greater_is_better=True)
    if name not in METRICS:
        raise ExpError(f"there is no metric {name!r}{nearest(name, METRICS)}")
    return METRICS[name]


def check(names: Sequence[str], regression: bool) -> None:
    """Raise ExpError for an empty list, an unknown or doubled name, or a metric of the other kind of task."""
    if not names:
        raise ExpError("data.metrics is empty; name at least one, the first is the primary one")
    for name in names:
        if name not in METRICS:
            raise ExpError(f"data.metrics: there is no metric {name!r}{nearest(name, METRICS)}")
        if METRICS[name].regression != regression:
            task, other = ("regression", "classes") if regression else ("classification", "scores")
            fitting = ", ".join(known for known, what in METRICS.items() if what.regression == regression)
            raise ExpError(f"data.metrics: {name!r} compares {other}, and this is {task}; use one of: {fitting}")
    if len(set(names)) < len(names):
        raise ExpError(f"data.metrics names a metric twice: {', '.join(names)}")


def produced(names: Sequence[str]) -> tuple[str, ...]:
    """The keys that `exp.metrics.build(names).compute()` returns, in order.

    Several metrics add their mean, `combined_score`, unless one of them is an error (a mean of a correlation
    and a squared error says nothing).
    """
    if len(names) > 1 and all(METRICS[name].greater_is_better for name in names):
        return (*names, COMBINED)
    return tuple(names)
