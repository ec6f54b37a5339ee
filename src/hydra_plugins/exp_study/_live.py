"""Optuna's trial behind the contract that a loop knows (exp.trial.Trial)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna


class LiveTrial:
    """Reports under the evaluation's index, counted from 1.

    Optimizer steps mean different progress for different batch sizes, and the rungs of successive halving count
    evaluations; so the index is the resource.
    """

    def __init__(self, trial: optuna.Trial, patiently: Callable[[Callable[[], Any]], Any], prunes: bool) -> None:
        self.trial = trial
        self.patiently = patiently
        self.prunes = prunes
        self.reports = 0
        self.pruned = False

    def report(self, value: float, step: int) -> None:
        if self.prunes:
            self.reports += 1
            self.patiently(lambda: self.trial.report(float(value), self.reports))

    def should_prune(self) -> bool:
        if self.prunes and not self.pruned:
            self.pruned = bool(self.patiently(self.trial.should_prune))
        return self.pruned
