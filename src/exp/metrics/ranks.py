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


def _found_by(k: int) -> Callable[[Array], Array]:
    return lambda predictions: np.where(_ranks(predictions) <= k, 1.0, 0.0)


def _before_its_negative(predictions: Array) -> Array:
    """Equally similar is half right, as guessing is."""
    return (predictions[:, 1] > 0) + 0.5 * (predictions[:, 1] == 0)


def _mean(each: Callable[[Array], Array]) -> Callable[[Array, Array, Any], float]:
    return lambda predictions, references, scores: float(each(predictions).mean())


# By name and kind, one number a row; a metric is their mean.
EACH: dict[tuple[str, str], Callable[[Array], Array]] = {
    **{("mrr", kind): lambda predictions: 1 / _ranks(predictions) for kind in KINDS},
    **{(f"recall_at_{k}", kind): _found_by(k) for kind in KINDS for k in (1, 5, 10)},
    ("triplet_accuracy", TRIPLETS[0]): _before_its_negative,
}
FUNCTIONS = {key: _mean(each) for key, each in EACH.items()}
