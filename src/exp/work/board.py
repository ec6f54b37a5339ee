"""Who runs which trial: taking a slot of the total, telling what came of it, and what becomes of a dead worker's trial.

A slot is one of `n_trials`. A trial takes one when it is made and keeps it, whether it completes, is pruned or
fails. Only a trial that a dead worker left gives its slot back: it is marked failed and its parameters wait to be run
again under a new number. So the count of slots in use is exact whoever dies when. A worker that is only asked to end
puts its trial back, to wait under the same number for whoever goes on with it.
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
from optuna.study._tell import _tell_with_warning
from optuna.trial import FrozenTrial, TrialState, create_trial

from exp.run import environment
from exp.run.process import lives, machine, this_process
from exp.work.storage import ClaimLock, open_storage, patiently

if TYPE_CHECKING:
    from optuna import Study

T = TypeVar("T")
SKEW = 300.0  # seconds that the clocks of two machines may differ
GIVEN_BACK = "gave_slot_back"
RETRY_OF = "retry_of"
WORKER = "worker"
INTERRUPTED = "interrupted"  # how often a trial's run was asked to end, saved, and was put back


def commit_now() -> str | None:
    """Of the code that this process has imported."""
    state = environment.git(Path(environment.__file__).parent) or environment.git(Path.cwd())
    return state["commit"] if state else None


@dataclass
class Board:
    """A study as its workers see it. Every method bears a storage that is away for `patience` seconds."""

    study: Study
    lock: ClaimLock
    n_trials: int
    retries: int
    stale_after: float  # seconds
    patience: float  # seconds
    seen: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def patiently(self, work: Callable[[], T]) -> T:
        return patiently(work, self.patience, lambda text: print(text, flush=True))

    def trials(self) -> list[FrozenTrial]:
        return self.patiently(lambda: self.study._storage.get_all_trials(self.study._study_id, deepcopy=False))

    def claim(self, worker: str, **attrs: Any) -> FrozenTrial | None:
        """A trial that is now this worker's, with `attrs` as user attributes; None when no slot is free."""
        return self.patiently(lambda: self._claim(worker, {WORKER: worker, **attrs}))

    def _claim(self, worker: str, attrs: dict[str, Any]) -> FrozenTrial | None:
        with self.lock:
            trials = self._fresh()
            if self._recover(trials):
                trials = self._fresh()
            for trial in trials:
                if trial.state == TrialState.RUNNING and trial.user_attrs.get(WORKER) == worker:
                    return trial  # claimed before, but the storage's answer was lost
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if not waiting and len(counting(trials)) >= self.n_trials:
                return None
            storage, study_id = self.study._storage, self.study._study_id
            trial_id = self.study._pop_waiting_trial_id() if waiting else None
            if trial_id is None:
                blank = create_trial(state=TrialState.RUNNING, user_attrs=attrs)
                trial_id = storage.create_new_trial(study_id, blank)
            else:
                for key, value in attrs.items():
                    storage.set_trial_user_attr(trial_id, key, value)
            mine = storage.get_trial(trial_id)
            # The lock was lost if a database restarted in between; the order of numbers then decides.
            if RETRY_OF not in mine.user_attrs:
                before = trials if mine.number <= len(trials) else self._fresh()
                if sum(trial.number < mine.number for trial in counting(before)) >= self.n_trials:
                    storage.set_trial_user_attr(trial_id, GIVEN_BACK, True)
                    storage.set_trial_state_values(trial_id, TrialState.FAIL)
                    return None
            return mine

    def tell(
        self, trial: optuna.Trial, worker: str, state: TrialState, values: Sequence[float] | None, **attrs: Any
    ) -> bool:
        """False where the trial was taken away meanwhile, because this worker had seemed dead."""

        def work() -> bool:
            with self.lock:
                now = self.study._storage.get_trial(trial._trial_id)
                if now.state != TrialState.RUNNING:
                    return now.state == state and now.user_attrs.get(WORKER) == worker and "error" not in now.user_attrs
                drawn = trial._cached_frozen_trial
                for name, distribution in drawn.distributions.items():
                    if name not in now.params:  # a database that crashed right after it was drawn
                        value = distribution.to_internal_repr(drawn.params[name])
                        self.study._storage.set_trial_param(trial._trial_id, name, value, distribution)
                for key, value in attrs.items():
                    trial.set_user_attr(key, value)
                # What `study.tell` does, less the trial read once more for a line in Optuna's log.
                _tell_with_warning(self.study, trial, list(values) if values is not None else None, state)
                return True

        return self.patiently(work)

    def put_back(self, trial_id: int, worker: str) -> None:
        """A trial whose run was interrupted and has saved: whoever takes it next goes on with it, under its number."""

        def work() -> None:
            with self.lock:
                storage = self.study._storage
                now = storage.get_trial(trial_id)
                if now.state == TrialState.RUNNING and now.user_attrs.get(WORKER) == worker:
                    storage.set_trial_user_attr(trial_id, INTERRUPTED, now.user_attrs.get(INTERRUPTED, 0) + 1)
                    storage.set_trial_state_values(trial_id, TrialState.WAITING)

        self.patiently(work)

    def recover(self) -> list[int]:
        """Gives back the slots of dead workers' trials; their numbers."""

        def work() -> list[int]:
            if not any(trial.state == TrialState.RUNNING for trial in self._fresh()):
                return []
            with self.lock:
                return self._recover(self._fresh())

        return self.patiently(work)

    def _recover(self, trials: Sequence[FrozenTrial]) -> list[int]:
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        if not running:
            return []
        beats = self.study.user_attrs
        dead = [trial for trial in running if not self._alive(trial, beats)]
        for trial in dead:
            self._give_back(trial, {t.user_attrs[RETRY_OF] for t in trials if RETRY_OF in t.user_attrs})
        return [trial.number for trial in dead]

    def _alive(self, trial: FrozenTrial, beats: dict[str, Any]) -> bool:
        worker = trial.user_attrs.get(WORKER)
        if worker is None:
            return False  # it is set under the lock that we hold now, so its maker died in between
        beat = beats.get(beat_key(worker))
        return beat is not None and self.beats_on(worker, beat)

    def beats_on(self, worker: str, beat: dict[str, Any]) -> bool:
        if beat["machine"] == machine():
            return lives(beat) is True
        if time.time() - beat["time"] > self.stale_after + SKEW:
            return False
        # Another machine's clock may be wrong: what counts is how long we have seen no new beat.
        known, since = self.seen.get(worker, (None, 0.0))
        if known != beat["time"]:
            self.seen[worker] = (beat["time"], time.monotonic())
            return True
        return time.monotonic() - since < self.stale_after

    def _give_back(self, trial: FrozenTrial, retried: set[int]) -> None:
        storage = self.study._storage
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
            storage.set_trial_user_attr(trial._trial_id, GIVEN_BACK, True)
        storage.set_trial_user_attr(trial._trial_id, "error", f"its worker died (attempt {attempts})")
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def _fresh(self) -> list[FrozenTrial]:
        return self.study._storage.get_all_trials(self.study._study_id, deepcopy=False)


def counting(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those that hold a slot of the total."""
    retried = {trial.user_attrs[RETRY_OF] for trial in trials if RETRY_OF in trial.user_attrs}
    return [t for t in trials if t.number not in retried and not t.user_attrs.get(GIVEN_BACK)]


def beat_key(worker: str) -> str:
    return f"worker {worker}"


class Heart:
    """Writes a worker's timestamped record while it lives, from a thread, because a training step may take long."""

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

    def __enter__(self) -> Heart:
        patiently(self.once, 120.0)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()

    def once(self) -> None:
        self.study.set_user_attr(beat_key(self.worker), {**self.record, "time": time.time()})

    def _beat(self) -> None:
        while not self.ended.wait(self.every):
            try:
                self.once()
            except Exception as error:  # the storage is away; the next beat may get through
                print(f"worker {self.worker}: no heartbeat written ({type(error).__name__})", flush=True)
