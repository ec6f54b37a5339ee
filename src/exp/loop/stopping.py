"""The best evaluation so far, and when to give up waiting for a better one: one rule for both loops.

It is that of transformers.EarlyStoppingCallback, for evaluations on steps and on epochs alike: an evaluation that
beats the best by more than the threshold starts the count anew; the best itself moves with any gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exp.metrics.best import gain


@dataclass
class Stopping:
    greater_is_better: bool
    patience: int | None  # evaluations; None: never stop
    threshold: float
    best: float | None = None
    best_step: int | None = None
    waited: int = 0

    def update(self, value: float, step: int) -> bool:
        """Takes the next evaluation; True when it is the best so far. A NaN is never better."""
        gained = gain(value, self.best, self.greater_is_better)
        self.waited = 0 if gained > self.threshold else self.waited + 1
        if gained > 0:
            self.best, self.best_step = value, step
            return True
        return False

    @property
    def exhausted(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.best_step, self.waited = state["best"], state["best_step"], state["waited"]
