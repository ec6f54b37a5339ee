"""Keeping a study going until its total is reached, and stopping it when it should be."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from exp.errors import ExpError

from ._failing import failing
from ._processes import Crew, cores, gpus, write_worker
from ._report import report
from ._settings import Settings
from ._show import Show, make_show
from ._slots import Board, counting
from ._worker import Plan, Worker

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
    plan: Plan,
    settings: Settings,
    worker: Worker,
    launch: Callable[[int], None] | None,
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
            elif launch is not None:
                problem = _by_launcher(board, plan, settings, launch, show)
            else:
                problem = _by_processes(board, plan, settings, worker, show, wishes)
    finally:
        show.close()
    report(board, plan, worker, command, settings.pictures)
    if problem is not None:
        raise problem
    if wishes.finish or wishes.stop:
        print("stopped; the same command goes on")
        raise SystemExit(INTERRUPTED)


def _by_launcher(
    board: Board, plan: Plan, settings: Settings, launch: Callable[[int], None], show: Show
) -> ExpError | None:
    while (problem := failing(board.trials(), plan)) is None:
        trials = board.trials()
        show.update(trials, settings.n_jobs)
        if reached(trials, plan.n_trials):
            break
        if claimable(trials, plan.n_trials) > 0:
            launch(min(settings.n_jobs, claimable(trials, plan.n_trials)))
        else:  # others are at the last trials
            time.sleep(POLL)
        board.recover()
    show.update(board.trials(), settings.n_jobs)
    return problem


def _by_processes(
    board: Board, plan: Plan, settings: Settings, worker: Worker, show: Show, wishes: Wishes
) -> ExpError | None:
    pickled = plan.folder / "workers" / "worker.pkl"
    write_worker(worker, pickled)
    threads = settings.threads or max(1, cores() // settings.n_jobs)
    crew = Crew(pickled, pickled.parent, settings.n_jobs, threads, gpus(), show.say)
    problem: ExpError | None = None
    done_before, released, looked = 0, False, time.monotonic()
    try:
        while True:
            trials = board.trials()
            done = sum(trial.state.is_finished() for trial in trials)
            show.update(trials, len(crew.running))
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
                if not crew.running:
                    break
            elif free := claimable(trials, plan.n_trials):
                crew.fill(free + sum(trial.state == TrialState.RUNNING for trial in trials))
            time.sleep(POLL)
    finally:
        if wishes.stop or not reached(board.trials(), plan.n_trials):
            crew.stop(GRACE)
            board.recover()
        crew.release()
        for process in crew.running.values():
            process.wait()
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
