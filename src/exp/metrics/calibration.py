"""Whether a model's probabilities mean what they say. Numbers of the event "the answer is right" and its forecast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BINS = 15  # of equal mass (Nixon et al. 2019); Guo et al. 2017 have 15 of equal width
OVER = 2.0  # standard errors by which confidence exceeds accuracy
SEEN = 0.02  # and at least this much, so that a large set makes no verdict of nothing
_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures


@dataclass(frozen=True)
class Bin:
    """Mean confidence and share of right answers of `n` examples."""

    n: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """`brier` is (confidence - right)^2, the mean; of the binned forecasts it is reliability - resolution + uncertainty
    (Murphy 1973). Smaller reliability is better, larger resolution is better."""

    n: int
    confidence: float
    accuracy: float
    ece: float
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    bins: tuple[Bin, ...]

    @property
    def overconfident(self) -> bool:
        error = (self.accuracy * (1 - self.accuracy) / self.n) ** 0.5
        return self.confidence - self.accuracy > max(OVER * error, SEEN)


def measure(probabilities: Array, gold: NDArray[np.int64], temperature: float = 1.0) -> Calibration:
    """
    Args:
        probabilities: [n, classes], each row summing to 1.
        gold: [n] indices of the right ones.
        temperature: what logits are divided by first.
    """
    scaled = at_temperature(probabilities, temperature)
    confidence = scaled.max(axis=1)
    right = (scaled.argmax(axis=1) == gold).astype(np.float64)
    bins = [
        Bin(len(rows), float(confidence[rows].mean()), float(right[rows].mean()))
        for rows in np.array_split(np.argsort(confidence, kind="stable"), min(BINS, len(gold)))
    ]
    n, base = len(gold), float(right.mean())
    return Calibration(
        n=n,
        confidence=float(confidence.mean()),
        accuracy=base,
        ece=sum(one.n * abs(one.confidence - one.right) for one in bins) / n,
        brier=float(np.square(confidence - right).mean()),
        reliability=sum(one.n * (one.confidence - one.right) ** 2 for one in bins) / n,
        resolution=sum(one.n * (one.right - base) ** 2 for one in bins) / n,
        uncertainty=base * (1 - base),
        bins=tuple(bins),
    )


def at_temperature(probabilities: Array, temperature: float) -> Array:
    """softmax(logits / temperature), from softmax(logits)."""
    if temperature == 1.0:
        return probabilities
    logs = np.log(np.maximum(probabilities, 1e-300)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: Array, gold: NDArray[np.int64]) -> float:
    """With the least negative log likelihood (Guo et al. 2017), which is convex in its inverse; golden section."""
    logs = np.log(np.maximum(probabilities, 1e-300))
    rows = np.arange(len(gold))

    def loss(inverse: float) -> float:
        scaled = logs * inverse
        top = scaled.max(axis=1)
        return float((top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - scaled[rows, gold]).mean())

    golden = (5**0.5 - 1) / 2
    low, high = 1 / _HIGHEST, 1 / _LOWEST
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return 2 / (low + high)


def events(scores: Array, hot: NDArray[Any]) -> tuple[Array, NDArray[np.int64]]:
    """Labels that are given or not, as two classes each: [rows x labels, 2] probabilities, and the right ones."""
    given = scores.ravel()
    return np.stack([1 - given, given], axis=1), np.asarray(hot).ravel().astype(np.int64)
