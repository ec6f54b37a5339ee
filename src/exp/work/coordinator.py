"""Keeping a study going until its total is reached, and stopping it when it should be."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from optuna.trial import FrozenTrial, TrialState

from exp.errors import ExpError
from exp.run.environment import gpus
from exp.study.failures import failing
from exp.study.live_table import Show, make_show
from exp.study.report import report
from exp.study.settings import StudySettings
from exp.study.worker import StudyPlan, TrialWorker
from exp.work.board import Board, counting
from exp.work.local import LocalWorkers, cores, pack_worker

POLL = 0.2  # seconds
GRACE = 15.0  # seconds that a worker gets to save when it is stopped
INTERRUPTED = 130


@dataclass
class Wishes:
    """What the user asked for by signals."""

    finish: bool = False
    stop: bool = False


def tend(
    board: Board,
    plan: StudyPlan,
    settings: StudySettings,
    worker: TrialWorker,
    launched: Callable[[Board, Callable[[str], None]], Workers] | None,
    command: str,
) -> None:
    """Raises ExpError where trials fail as they must not; exits with 130 after Ctrl-C."""
    show = make_show(plan)
    wishes = Wishes()
    problem: ExpError | None = None
    try:
        with _signals(wishes, show):
            if settings.n_jobs == 0:
                show.update(board.trials(), 1)
                worker()
                show.update(board.trials(), 1)
                problem = failing(board.trials(), plan)
            else:
                crew = launched(board, show.say) if launched else _crew(plan, settings, worker, show)
                problem = _keep_going(board, plan, settings, crew, show, wishes)
    finally:
        show.close()
    report(board, plan, worker, command, settings.pictures)
    if problem is not None:
        raise problem
    if wishes.finish or wishes.stop:
        print("stopped; the same command goes on")
        raise SystemExit(INTERRUPTED)


class Workers(Protocol):
    """Processes of our own, or what a launcher runs elsewhere."""

    @property
    def busy(self) -> int:
        """How many run, or wait in a queue."""
        ...

    def fill(self, wanted: int) -> None: ...

    def reap(self, trials_done: int, trials_done_before: int) -> bool: ...

    def release(self) -> None: ...

    def stop(self, seconds: float) -> None: ...

    def leave(self) -> None: ...


def _crew(plan: StudyPlan, settings: StudySettings, worker: TrialWorker, show: Show) -> LocalWorkers:
    threads = settings.threads or max(1, cores() // settings.n_jobs)
    return LocalWorkers(pack_worker(worker), plan.folder / "workers", settings.n_jobs, threads, gpus(), show.say)


def _keep_going(
    board: Board, plan: StudyPlan, settings: StudySettings, crew: Workers, show: Show, wishes: Wishes
) -> ExpError | None:
    problem: ExpError | None = None
    done_before, released, looked = 0, False, time.monotonic()
    try:
        while True:
            trials = board.trials()
            done = sum(trial.state.is_finished() for trial in trials)
            show.update(trials, crew.busy)
            died = crew.reap(done, done_before)
            done_before = done
            if died or time.monotonic() - looked > settings.beat_every:
                looked = time.monotonic()
                for number in board.recover():
                    show.say(f"trial {number} lost its worker; it runs again under another number")
                trials = board.trials()
            problem = problem or failing(trials, plan)
            if wishes.stop:
                break
            if reached(trials, plan.n_trials):
                break
            if wishes.finish or problem is not None:
                if not released:
                    crew.release()
                    released = True
                if not crew.busy:
                    break
            elif free := claimable(trials, plan.n_trials):
                crew.fill(free + sum(trial.state == TrialState.RUNNING for trial in trials))
            time.sleep(POLL)
    finally:
        if wishes.stop or not reached(board.trials(), plan.n_trials):
            crew.stop(GRACE)
            board.recover()
        crew.leave()
    return problem


def reached(trials: Sequence[FrozenTrial], total: int) -> bool:
    held = counting(trials)
    return len(held) >= total and all(trial.state.is_finished() for trial in held)


def claimable(trials: Sequence[FrozenTrial], total: int) -> int:
    """Slots that a worker could take now."""
    waiting = sum(trial.state == TrialState.WAITING for trial in trials)
    return waiting + max(0, total - len(counting(trials)))


@contextmanager
def _signals(wishes: Wishes, show: Show) -> Iterator[None]:
    """Ctrl-C once: running trials end, no new one begins. Twice, or SIGTERM: now."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(number: int, frame: object) -> None:
        if number == signal.SIGTERM or wishes.finish:
            wishes.stop = True
            show.say("stopping the running trials now")
        else:
            wishes.finish = True
            show.say("finishing the running trials; Ctrl-C again stops them now")

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
