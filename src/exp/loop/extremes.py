"""The best and the last value of every metric, with their steps: what result.json tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exp.metrics.names import spec

Values = dict[str, dict[str, float]]  # key -> {"value", "step"}


class Records:
    """Best by each metric's own direction; the objective's is given, because a user may turn it round."""

    def __init__(self, objective: str, greater_is_better: bool) -> None:
        self.objective = objective
        self.greater_is_better = greater_is_better
        self.best: Values = {}
        self.last: Values = {}

    def add(self, metrics: Mapping[str, float], step: int) -> None:
        for key, value in metrics.items():
            self.last[key] = {"value": value, "step": step}
            if key in ("train/lr", "train/grad_norm"):
                continue  # these have no better
            known = self.best.get(key)
            if known is None or self._better(key, value, known["value"]):
                self.best[key] = {"value": value, "step": step}

    def _better(self, key: str, value: float, known: float) -> bool:
        greater = self.greater_is_better if key == self.objective else spec(key.split("/")[1]).greater_is_better
        return known != known or (value > known if greater else value < known)  # anything is better than NaN

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "last": self.last}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.last = state["best"], state["last"]
