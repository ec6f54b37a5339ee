"""The arithmetic of the metrics on numpy arrays, equal to scikit-learn and SciPy where those are defined.

Where a score is not defined it is 0.0, "knows nothing", so that an early evaluation of a model that answers
the same to everything can be compared with later ones. A NaN among the predictions is not hidden: the score
is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from exp.errors import ExpError

Array = NDArray[np.int64] | NDArray[np.float64]


def accuracy(predictions: Array, references: Array) -> float:
    return float(np.mean(predictions == references))


def f1(predictions: Array, references: Array) -> float:
    """F1 of class 1 of two classes; 0.0 where class 1 was neither given nor predicted."""
    classes = np.union1d(predictions, references)
    if classes.size and (classes[0] < 0 or classes[-1] > 1):
        raise ExpError(f"metric 'f1' is for two classes, and class {classes[-1]} occurs; use 'f1_macro'")
    return _f1(predictions == 1, references == 1)


def f1_macro(predictions: Array, references: Array) -> float:
    """The plain mean of the F1 of every class that was given or predicted."""
    classes = np.union1d(predictions, references)
    return float(np.mean([_f1(predictions == label, references == label) for label in classes]))


def matthews_correlation(predictions: Array, references: Array) -> float:
    """Gorodkin's R_K (2004), for two classes Matthews' phi; 0.0 where either side is constant."""
    classes, codes = np.unique(np.concatenate([predictions, references]), return_inverse=True)
    predicted, given = codes[: len(predictions)], codes[len(predictions) :]
    # Python integers from here on: the products below pass 2^63 with millions of rows.
    predicted_counts = [int(count) for count in np.bincount(predicted, minlength=classes.size)]
    given_counts = [int(count) for count in np.bincount(given, minlength=classes.size)]
    rows, correct = len(given), int(np.sum(predicted == given))
    covariance = correct * rows - sum(p * g for p, g in zip(predicted_counts, given_counts, strict=True))
    spread = (rows**2 - sum(p * p for p in predicted_counts)) * (rows**2 - sum(g * g for g in given_counts))
    return covariance / spread**0.5 if spread else 0.0


def pearson(predictions: Array, references: Array) -> float:
    """Pearson's r; 0.0 where either side is constant or there are fewer than two rows."""
    x, y = np.asarray(predictions, dtype=np.float64), np.asarray(references, dtype=np.float64)
    if x.size < 2 or np.all(x == x[0]) or np.all(y == y[0]):
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    # Scaling by the largest value first keeps squares of very large or small values finite.
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    r = float(np.dot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y)))
    return max(-1.0, min(1.0, r)) if np.isfinite(r) else float("nan")


def spearmanr(predictions: Array, references: Array) -> float:
    """Pearson's r of the ranks, ties sharing their mean rank; 0.0 as for Pearson."""
    if np.isnan(predictions).any() or np.isnan(references).any():
        return float("nan")
    return pearson(_ranks(predictions), _ranks(references))


def mse(predictions: Array, references: Array) -> float:
    return float(np.mean(np.square(predictions - references)))


SCORES: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "f1_macro": f1_macro,
    "matthews_correlation": matthews_correlation,
    "pearson": pearson,
    "spearmanr": spearmanr,
    "mse": mse,
}


def _f1(predicted: NDArray[np.bool_], given: NDArray[np.bool_]) -> float:
    hits, either = int(np.sum(predicted & given)), int(predicted.sum()) + int(given.sum())
    return 2 * hits / either if either else 0.0


def _ranks(values: Array) -> NDArray[np.float64]:
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # the rank of the last of each group of equal values
    return (last - (counts - 1) / 2)[codes]
