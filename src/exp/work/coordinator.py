"""Keeps workers running until nothing is left to do, and stops them when they should stop: a sweep's and a table's."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from optuna.trial import FrozenTrial, TrialState

from exp.errors import ExpError
from exp.run.environment import cores, gpus
from exp.work.detached import (
    COORDINATOR,
    ask_to_stop,
    is_asked_to_stop,
    is_detached,
    living_coordinator,
    living_workers,
)
from exp.work.forks import ForkServer
from exp.work.heartbeat import Heartbeat
from exp.work.local_workers import LocalWorkers, pack_worker
from exp.work.settings import WorkSettings
from exp.work.trial_queue import TrialQueue
from exp.work.worker import Worker

POLL, SLOWEST_POLL = 0.2, 2.0  # seconds
GRACE = 20.0  # seconds that a run gets to save when it is stopped
LAUNCH_SECONDS = 60.0  # until the workers count as handed over, where the launcher does not say so


class Progress(Protocol):
    """How the work is shown."""

    def update(self, trials: Sequence[FrozenTrial], workers: int) -> None: ...

    def say(self, text: str) -> None: ...


class Workers(Protocol):
    """Worker processes: on this machine (LocalWorkers) or started by a launcher (LauncherWorkers)."""

    @property
    def busy(self) -> int:
        """How many workers run, or wait in a queue."""
        ...

    @property
    def handed_over(self) -> bool:
        """Whether those that were started run, or stand in a launcher's queue."""
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


Launched = Callable[[TrialQueue, Callable[[str], None]], Workers]


@dataclass
class StopRequest:
    """Whether a signal has asked to finish the running trials, or to stop them now."""

    finish: bool = False
    stop: bool = False
    unsaid: list[str] = field(default_factory=list)  # a signal may come in the midst of a print, and prints nothing

    def __bool__(self) -> bool:
        return self.finish or self.stop


@dataclass
class Coordinator:
    """`launched` makes the workers of a launcher; None: processes of this machine, or with n_jobs=0 this one.

    `server`: whose forks this machine's workers are; None: each imports all by itself.
    """

    queue: TrialQueue
    worker: Worker
    settings: WorkSettings
    launched: Launched | None
    progress: Progress
    server: ForkServer | None = None

    def run(self) -> tuple[StopRequest, ExpError | None]:
        """Until all is done, a signal stops it, or the recipe finds a problem."""
        request = StopRequest()
        ask_to_stop(self.queue, False)
        if not is_detached() and living_coordinator(self.queue) is not None and self._watch(request):
            return request, None
        with _signals(request):
            if self.settings.n_jobs == 0:
                self.progress.update(self.queue.trials(), 1)
                self.worker.work(lambda: bool(request))
                trials = self.queue.trials()
                self.progress.update(trials, 1)
                return request, self.worker.recipe.problem(trials)
            workers = self.launched(self.queue, self.progress.say) if self.launched else self._local_workers()
            return request, self._keep_going(workers, request)

    def _local_workers(self) -> LocalWorkers:
        settings, logs, say = self.settings, self.worker.plan.folder / "workers", self.progress.say
        threads, each = settings.threads_each(cores()), settings.processes_per_trial
        return LocalWorkers(pack_worker(self.worker), logs, settings.n_jobs, threads, gpus(), say, each, self.server)

    def _watch(self, request: StopRequest) -> bool:
        """Shows what a detached coordinator does. False where that has died, so that this one takes over."""
        name = self.worker.plan.study_name
        self.progress.say(f"it runs in the background; Ctrl-C leaves it there, exp runs stop {name} ends it")
        try:
            while living_coordinator(self.queue) is not None:
                trials = self.queue.trials()
                self.progress.update(trials, len(living_workers(self.queue)))
                if self.queue.is_complete(trials):
                    break
                self._rest(request)
        except KeyboardInterrupt:
            request.finish = True
            return True
        return self.queue.is_complete(self.queue.trials())

    def _keep_going(self, workers: Workers, request: StopRequest) -> ExpError | None:
        queue = self.queue
        try:
            with ExitStack() as presence:
                problem = self._until_done(workers, request, presence)
            self._say(request)
            complete = not request.stop and queue.is_complete(queue.trials())
        except BaseException:  # the storage may be gone, and is not asked again
            workers.stop(GRACE)
            workers.leave()
            raise
        if not complete:
            workers.stop(GRACE)
            queue.recover()
        workers.leave()
        self.progress.update(queue.trials(), 0)
        return problem

    def _until_done(self, workers: Workers, request: StopRequest, presence: ExitStack) -> ExpError | None:
        queue, recipe, plan = self.queue, self.worker.recipe, self.worker.plan
        problem: ExpError | None = None
        done_before, released, announced, looked = 0, False, False, time.monotonic()
        begun = looked
        while True:
            trials = queue.trials()
            done = sum(trial.state.is_finished() for trial in trials)
            self.progress.update(trials, workers.busy)
            died = workers.reap(done, done_before)
            idle = not workers.busy and not queue.free_slots(trials)  # what waits for a failed job is given up
            if died or idle or time.monotonic() - looked > plan.beat_every:
                looked = time.monotonic()
                for number in queue.recover():
                    self.progress.say(f"trial {number} lost its worker; it runs again under another number")
                trials = queue.trials()
                request.stop = request.stop or is_asked_to_stop(queue)
            done_before = done
            problem = problem or recipe.problem(trials)
            if request.stop or queue.is_complete(trials):
                return problem
            if request.finish or problem is not None:
                if not released:
                    workers.release()
                    released = True
                if not workers.busy:
                    return problem
            elif free := queue.free_slots(trials):
                workers.fill(free + sum(trial.state == TrialState.RUNNING for trial in trials))
            if is_detached() and not announced and (workers.handed_over or time.monotonic() - begun > LAUNCH_SECONDS):
                beat = Heartbeat(plan.storage, plan.folder, plan.study_name, COORDINATOR, plan.beat_every)
                presence.enter_context(beat)
                announced = True
            self._rest(request)

    def _rest(self, request: StopRequest) -> None:
        """Until the next look: a fifth of the time goes into looking at the most, or the workers would feel it."""
        end = time.monotonic() + min(max(POLL, 4 * self.queue.last.seconds), SLOWEST_POLL)
        while time.monotonic() < end and not request.unsaid:
            time.sleep(POLL / 2)
        self._say(request)

    def _say(self, request: StopRequest) -> None:
        while request.unsaid:
            self.progress.say(request.unsaid.pop(0))


@contextmanager
def _signals(request: StopRequest) -> Iterator[None]:
    """Ctrl-C once: running trials end, no new one begins. Twice, or SIGTERM: now."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(number: int, frame: object) -> None:
        if number == signal.SIGTERM or request.finish:
            request.stop = True
            request.unsaid.append("stopping the running trials now")
        else:
            request.finish = True
            request.unsaid.append("finishing the running trials; Ctrl-C again stops them now")

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
