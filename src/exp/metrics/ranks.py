"""Metrics of retrieval, each a function of the rank (from 1) at which a row's own text was found.

Predictions are [n] ranks, or of triplets [n, 2]: the rank, and by how much the positive is more similar than the row's
negative. References are [n], the numbers of candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exp.metrics.names import RANKS, TRIPLETS

Array = NDArray[np.float64]
KINDS = RANKS + TRIPLETS


def _ranks(predictions: Array) -> Array:
    return predictions if predictions.ndim == 1 else predictions[:, 0]


def _reciprocal(predictions: Array, references: Array, scores: Any) -> float:
    return float((1 / _ranks(predictions)).mean())


def _recall_at(k: int) -> Callable[[Array, Array, Any], float]:
    def score(predictions: Array, references: Array, scores: Any) -> float:
        return float((_ranks(predictions) <= k).mean())

    return score


def _triplet_accuracy(predictions: Array, references: Array, scores: Any) -> float:
    """Equally similar is half right, as guessing is."""
    return float(((predictions[:, 1] > 0) + 0.5 * (predictions[:, 1] == 0)).mean())


FUNCTIONS = {
    **{("mrr", kind): _reciprocal for kind in KINDS},
    **{(f"recall_at_{k}", kind): _recall_at(k) for kind in KINDS for k in (1, 5, 10)},
    ("triplet_accuracy", TRIPLETS[0]): _triplet_accuracy,
}
