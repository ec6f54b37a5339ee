"""Metrics: names and keys (light), their values by kept libraries, and one's own. Nothing here needs a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exp.metrics.metric import Scores


def compute(
    metrics: Sequence[str],
    kind: str,
    predictions: Any,
    references: Any,
    scores: Any = None,
    labels: Sequence[str] | None = None,
) -> dict[str, float]:
    """All metrics of a task over the rows of one set; see `exp.metrics.scores.compute`."""
    from exp.metrics import scores as values

    return values.compute(metrics, kind, predictions, references, scores, labels)


def build(metrics: Sequence[str], kind: str | None = None) -> Scores:
    """The same as one `evaluate.Metric`: `add_batch(predictions=, references=)`, then `compute()`.

    Args:
        metrics: as in `task.metrics`.
        kind: one of `exp.metrics.names.KINDS`; None: that of the first built-in metric.
    Returns:
        A metric that keeps its rows in memory. `compute` returns what `exp.metrics.compute` does and empties it.
        `add_batch` takes `scores=` too where one of the metrics needs probabilities.
    Raises:
        ExpError: for metrics that are unknown or of two kinds of tasks.
    """
    from exp.metrics.metric import Scores

    return Scores(metrics, kind)
