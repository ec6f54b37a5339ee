"""Optuna's trial behind the contract that a loop knows (exp.loop.trial.Trial)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.metrics.key import Key
from exp.run.events import Event, read_events

if TYPE_CHECKING:
    import optuna


class LiveTrial:
    """Reports under the evaluation's index, counted from 1.

    Optimizer steps mean different progress for different batch sizes, and the rungs of successive halving count
    evaluations; so the index is the resource.
    """

    def __init__(
        self,
        study: str,
        trial: optuna.Trial,
        retrying: Callable[[Callable[[], Any]], Any],
        prunes: bool,
        metrics: Path,
    ) -> None:
        self.study = study
        self.trial = trial
        self.retrying = retrying
        self.prunes = prunes
        self.metrics = metrics  # the run's metrics.jsonl
        self.reports: int | None = None
        self.pruned = False

    def report(self, value: float, step: int) -> None:
        if self.prunes:
            if self.reports is None:
                self.reports = self._earlier_reports(step)
            self.reports += 1
            self.retrying(lambda: self.trial.report(float(value), self.reports))  # type: ignore[arg-type]

    def _earlier_reports(self, step: int) -> int:
        """Evaluations of a run that goes on, before `step`."""
        return len({event.step for event in read_events(self.metrics) if event.step < step and _evaluates(event)})

    def should_prune(self) -> bool:
        if self.prunes and not self.pruned:
            self.pruned = bool(self.retrying(self.trial.should_prune))
        return self.pruned


def _evaluates(event: Event) -> bool:
    return any(Key.of(key).kind == "eval" for key in event.metrics)
