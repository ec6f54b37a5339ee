"""How a running study is shown: a live table on a terminal, else one line for each finished trial."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from exp.study.equal_trials import EQUAL_TO
from exp.study.plan import StudyPlan
from exp.work.last_read import GIVEN_BACK, RETRY_OF, slot_holders

ROWS = 20  # trials in the live table, where the terminal is high enough
OTHER_COLUMNS = 38  # columns that number, state, value and time of a trial take


def make_progress(plan: StudyPlan) -> ProgressTable | ProgressLines:
    return ProgressTable(plan) if sys.stdout.isatty() else ProgressLines(plan)


class ProgressLines:
    """One line a trial that ended."""

    def __init__(self, plan: StudyPlan) -> None:
        self.plan = plan
        self.printed: set[int] | None = None

    def update(self, trials: Sequence[FrozenTrial], workers: int) -> None:
        ended = [trial for trial in trials if trial.state.is_finished()]
        if self.printed is None:  # a study that goes on
            self.printed = {trial.number for trial in ended}
            if ended:
                print(f"goes on after {len(slot_holders(ended))} of {self.plan.n_trials} trials", flush=True)
        for trial in ended:
            if trial.number not in self.printed:
                self.printed.add(trial.number)
                print(self._line(trial, trials, workers), flush=True)

    def _line(self, trial: FrozenTrial, trials: Sequence[FrozenTrial], workers: int) -> str:
        words = [f"trial {trial.number}", state_text(trial), value_text(trial.values)]
        words += [f"{name}={format_value(value)}" for name, value in trial.params.items()]
        if trial.state == TrialState.FAIL:
            words.append(f"({trial.user_attrs.get('error', 'no reason known')})")
        best = best_of(trials, self.plan)
        if best is not None:
            words.append(f"| best {value_text(best.values)} by trial {best.number}")
        words.append(f"| {len(slot_holders([t for t in trials if t.state.is_finished()]))}/{self.plan.n_trials}")
        if (eta := seconds_left(trials, self.plan.n_trials, workers)) is not None:
            words.append(f"ETA {format_duration(eta)}")
        return " ".join(word for word in words if word)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def close(self) -> None:
        pass


class ProgressTable:
    """Running, best and newest trials, with counts, best value and ETA above them."""

    def __init__(self, plan: StudyPlan) -> None:
        from rich.console import Console
        from rich.live import Live

        self.plan = plan
        self.console = Console()
        self.live = Live(console=self.console, refresh_per_second=4)
        self.live.start()

    def update(self, trials: Sequence[FrozenTrial], workers: int) -> None:
        self.live.update(self._table(trials, workers))

    def _table(self, trials: Sequence[FrozenTrial], workers: int) -> Any:
        """A column a parameter where the terminal is wide enough, else all of them in one."""
        from rich.measure import Measurement

        best = best_of(trials, self.plan)
        rows = self._rows(trials, best)
        names = list(dict.fromkeys(name for trial in rows for name in trial.params))
        table = self._filled(trials, workers, rows, best, names)
        endless = self.console.options.update(width=10_000)
        if Measurement.get(self.console, endless, table).maximum > self.console.width:
            table = self._filled(trials, workers, rows, best, None)
        return table

    def _rows(self, trials: Sequence[FrozenTrial], best: FrozenTrial | None) -> list[FrozenTrial]:
        """As many as the terminal is high: those that run, the best, and the newest of the rest; by number."""
        room = max(4, min(ROWS, self.console.height - 12))
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        first = [trial.number for trial in (*running, *([best] if best else []), *reversed(trials))]
        kept = set(list(dict.fromkeys(first))[:room])
        return [trial for trial in trials if trial.number in kept]

    def _filled(
        self,
        trials: Sequence[FrozenTrial],
        workers: int,
        rows: Sequence[FrozenTrial],
        best: FrozenTrial | None,
        names: Sequence[str] | None,
    ) -> Any:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=self._title(trials, workers, best),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
            padding=(0, 1),
        )
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column(Text("\n".join(wrapped(name) for name in self.plan.objective.names) or "value"), no_wrap=True)
        titles = short_names(names or ())
        for name in names or ():
            table.add_column(Text(wrapped(titles[name])), justify="right")
        if names is None:
            rest = max(10, self.console.width - OTHER_COLUMNS)
            table.add_column("parameters", no_wrap=True, overflow="ellipsis", max_width=rest)
        table.add_column("time", justify="right", no_wrap=True)
        colours = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan"}
        every = short_names(list(dict.fromkeys(name for trial in rows for name in trial.params)))
        for trial in rows:
            word = state_name(trial)
            if names is None:
                printed = [", ".join(f"{every[name]}={format_value(value)}" for name, value in trial.params.items())]
            else:
                printed = [format_value(trial.params[name]) if name in trial.params else "" for name in names]
            value = value_text(trial.values) or last_report(trial)
            state = Text(state_text(trial), colours.get(word, ""))
            end = [*printed, format_duration(trial_seconds(trial))]
            table.add_row(
                str(trial.number),
                state,
                value,
                *end,
                style="bold" if best is not None and trial.number == best.number else "",
            )
        return table

    def _title(self, trials: Sequence[FrozenTrial], workers: int, best: FrozenTrial | None) -> str:
        counts = Counter(state_name(trial) for trial in trials)
        done = len(slot_holders([t for t in trials if t.state.is_finished()]))
        printed = ", ".join(
            f"{counts[word]} {word}" for word in ("complete", "pruned", "equal", "failed", "lost") if counts[word]
        )
        words = [f"{done}/{self.plan.n_trials} trials" + (f" ({printed})" if printed else "")]
        words.append(f"{workers} worker{'s' * (workers != 1)}")
        if (eta := seconds_left(trials, self.plan.n_trials, workers)) is not None:
            words.append(f"ETA {format_duration(eta)}")
        title = f"{self.plan.study_name}\n{'   '.join(words)}"
        if best is not None:
            title += f"\nbest {value_text(best.values)} by trial {best.number}"
        return title

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)

    def close(self) -> None:
        self.live.stop()


def state_name(trial: FrozenTrial) -> str:
    if trial.state == TrialState.FAIL and trial.user_attrs.get(GIVEN_BACK):
        return "lost"  # its worker died; it runs again under another number
    if trial.state == TrialState.WAITING:
        return "waiting again" if RETRY_OF in trial.user_attrs else "waiting"
    if EQUAL_TO in trial.user_attrs:
        return "equal"  # it took the values of an equal trial
    return {"FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())


def state_text(trial: FrozenTrial) -> str:
    word = state_name(trial)
    return f"equal to {trial.user_attrs[EQUAL_TO]}" if word == "equal" else word


def best_of(trials: Sequence[FrozenTrial], plan: StudyPlan) -> FrozenTrial | None:
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


def seconds_left(trials: Sequence[FrozenTrial], total: int, workers: int) -> float | None:
    """Seconds until the last trial ends, if the rest take as long as those before."""
    ended = [trial_seconds(trial) for trial in trials if trial.state.is_finished() and trial.datetime_start]
    left = total - len(slot_holders([trial for trial in trials if trial.state.is_finished()]))
    return sum(ended) / len(ended) * left / max(workers, 1) if ended and left > 0 else None


def trial_seconds(trial: FrozenTrial) -> float:
    if trial.datetime_start is None:
        return 0.0
    end = trial.datetime_complete.timestamp() if trial.datetime_complete else time.time()
    return max(0.0, end - trial.datetime_start.timestamp())


def short_names(names: Sequence[str]) -> dict[str, str]:
    """optimizer.lr is shown as lr, unless another name ends in lr too."""
    ends = Counter(name.rpartition(".")[2] for name in names)
    return {name: end if ends[end := name.rpartition(".")[2]] == 1 else name for name in names}


def wrapped(name: str, width: int = 11) -> str:
    """per_device_train_batch_size over several lines, broken after its words."""
    lines = [""]
    for part in re.findall(r"[^_./]+[_./]?", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def last_report(trial: FrozenTrial) -> str:
    if not trial.intermediate_values:
        return ""
    step = max(trial.intermediate_values)
    return f"{trial.intermediate_values[step]:.4g} @{step}"


def value_text(values: Sequence[float] | None) -> str:
    return ", ".join(f"{value:.4g}" for value in values) if values else ""


def format_value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def format_duration(duration: float) -> str:
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
