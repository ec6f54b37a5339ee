"""The best value so far: one rule for both loops, studies, tables and reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from exp.metrics.key import Key

NEITHER = ("train/lr", "train/grad_norm")  # more of these is neither better nor worse


def rises(text: str, directions: Mapping[str, bool]) -> bool:
    """Whether greater is better for the key `text`; `directions` says it for single keys (eval/cost) or for a
    metric's name on every set (cost), and the others go by `Key.greater_is_better`."""
    key = Key.of(text)
    return directions.get(text, directions.get(key.name, key.greater_is_better))


def directions_of(data: Mapping[str, Any]) -> dict[str, bool]:
    """What a run's config and metrics said of directions, from the block `data` of its run.json; as in `rises`."""
    said = dict(data.get("directions") or {})
    if data.get("objective") and data.get("greater_is_better") is not None:
        said[data["objective"]] = data["greater_is_better"]
    return said


def gain(value: float, than: float | None, greater: bool) -> float:
    """How much better `value` is than `than`, the best so far (None: nothing yet).

    Above 0 means that it is the new best. NaN is never better, and any number is better than NaN (infinite gain).
    """
    if math.isnan(value):
        return math.nan
    if than is None or math.isnan(than):
        return math.inf
    return value - than if greater else than - value


class Extremes:
    """The best and the last value of every metric, with their steps: what result.json tells.

    `directions`: as in `rises`.
    """

    def __init__(self, directions: Mapping[str, bool]) -> None:
        self.directions = directions
        self.best: dict[str, dict[str, float]] = {}  # key -> {"value", "step"}; NaN where no value was a number
        self.last: dict[str, dict[str, float]] = {}

    def add(self, metrics: Mapping[str, float], step: int) -> None:
        for text, value in metrics.items():
            self.last[text] = {"value": value, "step": step}
            if text in NEITHER:
                continue
            held = self.best.get(text)
            if held is None or gain(value, held["value"], rises(text, self.directions)) > 0:
                self.best[text] = {"value": value, "step": step}

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "last": self.last}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.last = state["best"], state["last"]
