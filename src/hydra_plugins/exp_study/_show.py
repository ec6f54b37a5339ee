"""What the user sees of a running study: a live table on a terminal, a line a finished trial elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from ._slots import GIVEN_BACK, RETRY_OF, counting
from ._worker import Plan

ROWS = 14  # trials in the live table


class Show(Protocol):
    def update(self, trials: Sequence[FrozenTrial], workers: int) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


def make_show(plan: Plan) -> Show:
    return LiveTable(plan) if sys.stdout.isatty() else Lines(plan)


class Lines:
    """One line a trial that ended."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.told: set[int] | None = None

    def update(self, trials: Sequence[FrozenTrial], workers: int) -> None:
        ended = [trial for trial in trials if trial.state.is_finished()]
        if self.told is None:  # a study that goes on
            self.told = {trial.number for trial in ended}
            if ended:
                print(f"goes on after {len(counting(ended))} of {self.plan.n_trials} trials", flush=True)
        for trial in ended:
            if trial.number not in self.told:
                self.told.add(trial.number)
                print(self._line(trial, trials, workers), flush=True)

    def _line(self, trial: FrozenTrial, trials: Sequence[FrozenTrial], workers: int) -> str:
        words = [f"trial {trial.number}", state_word(trial), value_text(trial.values)]
        words += [f"{name}={short(value)}" for name, value in trial.params.items()]
        if trial.state == TrialState.FAIL:
            words.append(f"({trial.user_attrs.get('error', 'no reason known')})")
        best = best_of(trials, self.plan)
        if best is not None:
            words.append(f"| best {value_text(best.values)} by trial {best.number}")
        words.append(f"| {len(counting([t for t in trials if t.state.is_finished()]))}/{self.plan.n_trials}")
        if (eta := remaining(trials, self.plan.n_trials, workers)) is not None:
            words.append(f"ETA {clock(eta)}")
        return " ".join(word for word in words if word)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def close(self) -> None:
        pass


class LiveTable:
    """The newest trials, and best and ETA above them."""

    def __init__(self, plan: Plan) -> None:
        from rich.console import Console
        from rich.live import Live

        self.plan = plan
        self.console = Console()
        self.live = Live(console=self.console, refresh_per_second=4)
        self.live.start()

    def update(self, trials: Sequence[FrozenTrial], workers: int) -> None:
        self.live.update(self._table(trials, workers))

    def _table(self, trials: Sequence[FrozenTrial], workers: int) -> Any:
        from rich.table import Table
        from rich.text import Text

        best = best_of(trials, self.plan)
        done = len(counting([t for t in trials if t.state.is_finished()]))
        title = f"{self.plan.study_name}   {done}/{self.plan.n_trials} trials, {workers} workers"
        if best is not None:
            title += f"   best {value_text(best.values)} by trial {best.number}"
        if (eta := remaining(trials, self.plan.n_trials, workers)) is not None:
            title += f"   ETA {clock(eta)}"
        table = Table(title=title, title_justify="left", expand=False)
        for column in ("trial", "state", " / ".join(self.plan.objective.names) or "value", "parameters", "time"):
            table.add_column(column, overflow="fold")
        colours = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan"}
        for trial in trials[-ROWS:]:
            word = state_word(trial)
            parameters = ", ".join(f"{name}={short(value)}" for name, value in trial.params.items())
            value = value_text(trial.values) or reported(trial)
            style = "bold" if best is not None and trial.number == best.number else ""
            row = (str(trial.number), Text(word, colours.get(word, "")), value, parameters, clock(seconds(trial)))
            table.add_row(*row, style=style)
        return table

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)

    def close(self) -> None:
        self.live.stop()


def state_word(trial: FrozenTrial) -> str:
    if trial.state == TrialState.FAIL and trial.user_attrs.get(GIVEN_BACK):
        return "lost"  # its worker died; it runs again under another number
    if trial.state == TrialState.WAITING:
        return "waiting again" if RETRY_OF in trial.user_attrs else "waiting"
    return {"FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())


def best_of(trials: Sequence[FrozenTrial], plan: Plan) -> FrozenTrial | None:
    """The best complete trial that keeps every constraint; None with several objectives, or without one."""
    if len(plan.objective.directions) > 1:
        return None
    feasible = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and all(off <= 0 for off in trial.constraints.values())
    ]
    if not feasible:
        return None
    sign = 1 if plan.objective.directions[0] == "maximize" else -1
    return max(feasible, key=lambda trial: sign * trial.values[0])


def remaining(trials: Sequence[FrozenTrial], total: int, workers: int) -> float | None:
    """Seconds until the last trial ends, if the rest take as long as those before."""
    ended = [seconds(trial) for trial in trials if trial.state.is_finished() and trial.datetime_start]
    left = total - len(counting([trial for trial in trials if trial.state.is_finished()]))
    return sum(ended) / len(ended) * left / max(workers, 1) if ended and left > 0 else None


def seconds(trial: FrozenTrial) -> float:
    if trial.datetime_start is None:
        return 0.0
    end = trial.datetime_complete.timestamp() if trial.datetime_complete else time.time()
    return max(0.0, end - trial.datetime_start.timestamp())


def reported(trial: FrozenTrial) -> str:
    if not trial.intermediate_values:
        return ""
    step = max(trial.intermediate_values)
    return f"{trial.intermediate_values[step]:.4g} at {step}"


def value_text(values: Sequence[float] | None) -> str:
    return ", ".join(f"{value:.4g}" for value in values) if values else ""


def short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def clock(duration: float) -> str:
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
