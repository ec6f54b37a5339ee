"""Learning curves small enough to draw 500 of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from exp.curves.curve import Curve, Series

# A chart is about 700 pixels wide: more points would fall on each other.
LONGEST = 200
NO_CURVE = ("runtime", "seconds", "per_second", "examples")


class Grids:
    """Rows of steps and of epochs, each held once: runs of a sweep log at the same steps."""

    def __init__(self) -> None:
        self.held: list[tuple[float, ...]] = []
        self.places: dict[tuple[float, ...], int] = {}

    def place(self, steps: tuple[float, ...]) -> int:
        if steps not in self.places:
            self.places[steps] = len(self.held)
            self.held.append(steps)
        return self.places[steps]


def drawn(curve: Curve, grids: Grids) -> dict[str, Any]:
    """Metric -> {grid, values, per: logged points that one drawn point stands for, rounded up}."""
    found = {}
    for key, series in curve.series.items():
        if not key.endswith(NO_CURVE):
            thin = thinned(series)
            found[key] = {
                "grid": grids.place(thin.steps),
                "values": [rounded(value) for value in thin.values],
                "per": -(-len(series) // LONGEST),
            }
    return found


def clock(curve: Curve, grids: Grids) -> dict[str, Any]:
    """Epochs and seconds at some steps; between them both run evenly enough."""
    steps = sorted(curve.epochs)
    kept = tuple(steps[at] for at in _spread(len(steps)))
    return {
        "grid": grids.place(kept),
        "epoch": grids.place(tuple(rounded(curve.epochs[step]) for step in kept)),
        "time": [rounded(curve.times[step]) for step in kept],
    }


def thinned(series: Series) -> Series:
    """At most LONGEST points: the mean of each of as many buckets, at the bucket's last step."""
    count = len(series)
    if count <= LONGEST:
        return series
    bounds = [at * count // LONGEST for at in range(LONGEST + 1)]
    steps, values = [], []
    for low, high in pairwise(bounds):
        steps.append(series.steps[high - 1])
        values.append(sum(series.values[low:high]) / (high - low))
    return Series(tuple(steps), tuple(values))


def _spread(count: int) -> Sequence[int]:
    """Up to LONGEST of `count` places, the first and the last among them."""
    if count <= LONGEST:
        return range(count)
    return [round(at * (count - 1) / (LONGEST - 1)) for at in range(LONGEST)]


def rounded(value: float) -> float:
    """Five digits: a pixel is a thousandth of a chart."""
    return float(f"{value:.5g}")
