"""A study's trials as a queue: workers claim a trial, tell its result, and recover the trials of dead workers.

A slot is one of `n_trials`. A trial takes a slot when it is made and keeps it, whether it completes, is pruned or
fails. Only the trial of a dead worker frees its slot: it is marked failed, and its parameters run again under a new
number. So the number of slots in use stays exact, whichever worker dies. A worker that is asked to end puts its trial
back; the next worker goes on with it under the same number.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from exp.compat.optuna import storage_of, study_id, take_waiting, trial_id
from exp.run import environment
from exp.run.process import lives, machine, this_process
from exp.work.storage import ClaimLock, open_storage, retrying

if TYPE_CHECKING:
    from optuna import Study

T = TypeVar("T")
CLOCK_SKEW = 300.0  # seconds that the clocks of two machines may differ
GIVEN_BACK = "gave_slot_back"
RETRY_OF = "retry_of"
WORKER = "worker"
INTERRUPTED = "interrupted"  # how often a trial's run was asked to end, saved, and was put back


def code_commit() -> str | None:
    """Of the code that this process has imported."""
    state = environment.git(Path(environment.__file__).parent) or environment.git(Path.cwd())
    return state["commit"] if state else None


@dataclass
class TrialQueue:
    """A study as its workers see it. Every method tries again for `retry_seconds` while the storage does not answer."""

    study: Study
    lock: ClaimLock
    n_trials: int
    retries: int
    stale_after: float  # seconds
    retry_seconds: float  # seconds
    seen: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def retrying(self, work: Callable[[], T]) -> T:
        return retrying(work, self.retry_seconds, lambda text: print(text, flush=True))

    def trials(self) -> list[FrozenTrial]:
        return self.retrying(self._read_trials)

    def claim(self, worker: str, **attrs: Any) -> FrozenTrial | None:
        """A trial that is now this worker's, with `attrs` as user attributes; None when no slot is free."""
        return self.retrying(lambda: self._claim(worker, {WORKER: worker, **attrs}))

    def _claim(self, worker: str, attrs: dict[str, Any]) -> FrozenTrial | None:
        with self.lock:
            trials = self._read_trials()
            if self._recover(trials):
                trials = self._read_trials()
            for trial in trials:
                if trial.state == TrialState.RUNNING and trial.user_attrs.get(WORKER) == worker:
                    return trial  # claimed before, but the storage's answer was lost
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if not waiting and len(slot_holders(trials)) >= self.n_trials:
                return None
            storage = storage_of(self.study)
            mine_id = take_waiting(self.study) if waiting else None
            if mine_id is None:
                blank = create_trial(state=TrialState.RUNNING, user_attrs=attrs)
                mine_id = storage.create_new_trial(study_id(self.study), blank)
            else:
                for key, value in attrs.items():
                    storage.set_trial_user_attr(mine_id, key, value)
            mine = storage.get_trial(mine_id)
            # The lock was lost if a database restarted in between; the order of numbers then decides.
            if RETRY_OF not in mine.user_attrs:
                before = trials if mine.number <= len(trials) else self._read_trials()
                if sum(trial.number < mine.number for trial in slot_holders(before)) >= self.n_trials:
                    storage.set_trial_user_attr(mine_id, GIVEN_BACK, True)
                    storage.set_trial_state_values(mine_id, TrialState.FAIL)
                    return None
            return mine

    def tell(
        self, trial: optuna.Trial, worker: str, state: TrialState, values: Sequence[float] | None, **attrs: Any
    ) -> bool:
        """Writes a trial's result. False if another worker has taken the trial, because this one seemed dead."""

        def work() -> bool:
            with self.lock:
                storage, own = storage_of(self.study), trial_id(trial)
                now = storage.get_trial(own)
                if now.state != TrialState.RUNNING:
                    return now.state == state and now.user_attrs.get(WORKER) == worker and "error" not in now.user_attrs
                for name, distribution in trial.distributions.items():
                    if name not in now.params:  # a database that crashed right after it was drawn
                        value = distribution.to_internal_repr(trial.params[name])
                        storage.set_trial_param(own, name, value, distribution)
                for key, value in attrs.items():
                    trial.set_user_attr(key, value)
                self.study.tell(trial, list(values) if values is not None else None, state)
                return True

        return self.retrying(work)

    def put_back(self, trial: FrozenTrial, worker: str) -> None:
        """For a trial whose run was interrupted and has saved: the next worker goes on with it under its number."""

        def work() -> None:
            with self.lock:
                storage = storage_of(self.study)
                now = storage.get_trial(trial_id(trial))
                if now.state == TrialState.RUNNING and now.user_attrs.get(WORKER) == worker:
                    storage.set_trial_user_attr(trial_id(trial), INTERRUPTED, now.user_attrs.get(INTERRUPTED, 0) + 1)
                    storage.set_trial_state_values(trial_id(trial), TrialState.WAITING)

        self.retrying(work)

    def recover(self) -> list[int]:
        """Frees the slots of dead workers' trials. Returns the trials' numbers."""

        def work() -> list[int]:
            if not any(trial.state == TrialState.RUNNING for trial in self._read_trials()):
                return []
            with self.lock:
                return self._recover(self._read_trials())

        return self.retrying(work)

    def _recover(self, trials: Sequence[FrozenTrial]) -> list[int]:
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        if not running:
            return []
        beats = self.study.user_attrs
        dead = [trial for trial in running if not self._worker_lives(trial, beats)]
        for trial in dead:
            self._free_slot(trial, {t.user_attrs[RETRY_OF] for t in trials if RETRY_OF in t.user_attrs})
        return [trial.number for trial in dead]

    def _worker_lives(self, trial: FrozenTrial, beats: dict[str, Any]) -> bool:
        worker = trial.user_attrs.get(WORKER)
        if worker is None:
            return False  # a worker sets it under the lock that we hold now, so it died in between
        beat = beats.get(heartbeat_key(worker))
        return beat is not None and self.is_alive(worker, beat)

    def is_alive(self, worker: str, beat: dict[str, Any]) -> bool:
        if beat["machine"] == machine():
            return lives(beat) is True
        if time.time() - beat["time"] > self.stale_after + CLOCK_SKEW:
            return False
        # Another machine's clock may be wrong. So measure by our own clock since we saw the last new heartbeat.
        known, since = self.seen.get(worker, (None, 0.0))
        if known != beat["time"]:
            self.seen[worker] = (beat["time"], time.monotonic())
            return True
        return time.monotonic() - since < self.stale_after

    def _free_slot(self, trial: FrozenTrial, retried: set[int]) -> None:
        storage = storage_of(self.study)
        attempts = int(trial.user_attrs.get("attempts", 0)) + 1
        if trial.number not in retried and attempts <= self.retries:
            again = create_trial(
                state=TrialState.WAITING,
                user_attrs={RETRY_OF: trial.number, "attempts": attempts},
                # A grid's cell goes with it; what was not drawn yet is drawn freely.
                system_attrs={
                    **trial.system_attrs,
                    "fixed_params": {**trial.system_attrs.get("fixed_params", {}), **trial.params},
                },
            )
            self.study.add_trial(again)
        if trial.number in retried or attempts <= self.retries:
            storage.set_trial_user_attr(trial_id(trial), GIVEN_BACK, True)
        storage.set_trial_user_attr(trial_id(trial), "error", f"its worker died (attempt {attempts})")
        storage.set_trial_state_values(trial_id(trial), TrialState.FAIL)

    def _read_trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)


def slot_holders(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that hold a slot of the total."""
    retried = {trial.user_attrs[RETRY_OF] for trial in trials if RETRY_OF in trial.user_attrs}
    return [t for t in trials if t.number not in retried and not t.user_attrs.get(GIVEN_BACK)]


def heartbeat_key(worker: str) -> str:
    return f"worker {worker}"


def stop_key(coordinator: str) -> str:
    """The study's user attribute that tells the workers of this coordinator to end."""
    return f"stop {coordinator}"


class Heartbeat:
    """Writes a worker's record with a time stamp from a thread, because a training step may take long."""

    def __init__(self, storage: str | None, folder: Path, study: str, worker: str, every: float) -> None:
        self.args = (storage, folder, study)
        self.worker = worker
        self.every = every
        self.ended = threading.Event()
        self.record = this_process()
        if "SLURM_JOB_ID" in os.environ:
            self.record["slurm"] = os.environ["SLURM_JOB_ID"]
        self.study = optuna.load_study(study_name=study, storage=open_storage(storage, folder))
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heartbeat:
        retrying(self.beat, 120.0)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()

    def beat(self) -> None:
        self.study.set_user_attr(heartbeat_key(self.worker), {**self.record, "time": time.time()})

    def _beat(self) -> None:
        while not self.ended.wait(self.every):
            try:
                self.beat()
            except Exception as error:  # the storage does not answer; the next heartbeat may succeed
                print(f"worker {self.worker}: no heartbeat written ({type(error).__name__})", flush=True)
