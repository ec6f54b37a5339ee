"""A metric as a function of sums over examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Additive:
    """`parts` is [n, k], one row an example. `score` maps sums of rows, [..., k], to scores, [...]."""

    parts: Array
    score: Callable[[Array], Array]

    @property
    def value(self) -> float:
        """Of all examples, as `exp.metrics.compute` gives it."""
        return float(self.score(self.parts.sum(axis=0)))


def mean(values: Any) -> Additive:
    """The mean of one number an example."""
    numbers = np.asarray(values, dtype=np.float64)
    return Additive(np.stack([numbers, np.ones(len(numbers))], axis=1), ratio)


def ratio(sums: Array) -> Array:
    return safe(sums[..., 0], sums[..., 1])


def safe(above: Array, below: Array) -> Array:
    """0 where nothing is defined, as exp.metrics.functions has it."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below != 0)
