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
from exp.study.failures import reason_to_stop
from exp.study.plan import StudyPlan
from exp.study.progress import Progress, make_progress
from exp.study.report import report
from exp.study.settings import StudySettings
from exp.study.worker import TrialWorker
from exp.work.local_workers import LocalWorkers, cpu_count, pack_worker
from exp.work.trial_queue import TrialQueue, slot_holders

POLL = 0.2  # seconds
GRACE = 15.0  # seconds that a worker gets to save when it is stopped
INTERRUPTED = 130


@dataclass
class StopRequest:
    """Whether a signal has asked to finish the running trials, or to stop them now."""

    finish: bool = False
    stop: bool = False


def run_study(
    queue: TrialQueue,
    plan: StudyPlan,
    settings: StudySettings,
    worker: TrialWorker,
    launched: Callable[[TrialQueue, Callable[[str], None]], Workers] | None,
    command: str,
) -> None:
    """Keeps workers running until the study has its total.

    Raises:
        ExpError: too many trials failed.
        SystemExit: 130, after Ctrl-C.
    """
    progress = make_progress(plan)
    request = StopRequest()
    problem: ExpError | None = None
    try:
        with _signals(request, progress):
            if settings.n_jobs == 0:
                progress.update(queue.trials(), 1)
                worker()
                progress.update(queue.trials(), 1)
                problem = reason_to_stop(queue.trials(), plan)
            else:
                workers = (
                    launched(queue, progress.say) if launched else _local_workers(plan, settings, worker, progress)
                )
                problem = _run_until_done(queue, plan, settings, workers, progress, request)
    finally:
        progress.close()
    report(queue, plan, worker, command, settings.pictures)
    if problem is not None:
        raise problem
    if request.finish or request.stop:
        print("stopped; the same command goes on")
        raise SystemExit(INTERRUPTED)


class Workers(Protocol):
    """Worker processes: on this machine (LocalWorkers) or started by a launcher (LauncherWorkers)."""

    @property
    def busy(self) -> int:
        """How many workers run, or wait in a queue."""
        ...

    def fill(self, wanted: int) -> None:
        """Starts workers until `wanted` run, or as many as are allowed."""
        ...

    def reap(self, trials_done: int, trials_done_before: int) -> bool:
        """Forgets workers that ended. True if one of them died. Raises ExpError if they die without a result."""
        ...

    def release(self) -> None:
        """Asks every worker to end after its trial."""
        ...

    def stop(self, seconds: float) -> None:
        """Ends every worker now; its run gets `seconds` to save."""
        ...

    def leave(self) -> None:
        """Waits for the workers to end by themselves."""
        ...


def _local_workers(plan: StudyPlan, settings: StudySettings, worker: TrialWorker, progress: Progress) -> LocalWorkers:
    threads = settings.threads or max(1, cpu_count() // settings.n_jobs)
    return LocalWorkers(pack_worker(worker), plan.folder / "workers", settings.n_jobs, threads, gpus(), progress.say)


def _run_until_done(
    queue: TrialQueue,
    plan: StudyPlan,
    settings: StudySettings,
    workers: Workers,
    progress: Progress,
    request: StopRequest,
) -> ExpError | None:
    problem: ExpError | None = None
    done_before, released, looked = 0, False, time.monotonic()
    try:
        while True:
            trials = queue.trials()
            done = sum(trial.state.is_finished() for trial in trials)
            progress.update(trials, workers.busy)
            died = workers.reap(done, done_before)
            done_before = done
            if died or time.monotonic() - looked > settings.beat_every:
                looked = time.monotonic()
                for number in queue.recover():
                    progress.say(f"trial {number} lost its worker; it runs again under another number")
                trials = queue.trials()
            problem = problem or reason_to_stop(trials, plan)
            if request.stop:
                break
            if is_complete(trials, plan.n_trials):
                break
            if request.finish or problem is not None:
                if not released:
                    workers.release()
                    released = True
                if not workers.busy:
                    break
            elif free := free_slots(trials, plan.n_trials):
                workers.fill(free + sum(trial.state == TrialState.RUNNING for trial in trials))
            time.sleep(POLL)
    finally:
        if request.stop or not is_complete(queue.trials(), plan.n_trials):
            workers.stop(GRACE)
            queue.recover()
        workers.leave()
    return problem


def is_complete(trials: Sequence[FrozenTrial], total: int) -> bool:
    held = slot_holders(trials)
    return len(held) >= total and all(trial.state.is_finished() for trial in held)


def free_slots(trials: Sequence[FrozenTrial], total: int) -> int:
    """How many trials a worker could claim now."""
    waiting = sum(trial.state == TrialState.WAITING for trial in trials)
    return waiting + max(0, total - len(slot_holders(trials)))


@contextmanager
def _signals(request: StopRequest, progress: Progress) -> Iterator[None]:
    """Ctrl-C once: running trials end, no new one begins. Twice, or SIGTERM: now."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(number: int, frame: object) -> None:
        if number == signal.SIGTERM or request.finish:
            request.stop = True
            progress.say("stopping the running trials now")
        else:
            request.finish = True
            progress.say("finishing the running trials; Ctrl-C again stops them now")

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
