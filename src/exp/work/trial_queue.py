"""The trials of a study as a queue of jobs: workers claim one, tell its result, and free those of dead workers.

A slot is one of `n_trials`. A trial takes a slot when it is made and keeps it, whether it completes, is pruned or
fails. Only the trial of a dead worker frees its slot: it is marked failed, and its parameters run again under a new
number. So the number of slots in use stays exact, whichever worker dies. A worker that is asked to end puts its trial
back; the next worker goes on with it under the same number.

A table is a study with a fixed list: each of its trials stands in the storage from the start, with a tag that names its
run, the tags of the jobs that it starts from, and its overrides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from exp.compat.optuna import created, storage_of, study_id, tell, trial_id
from exp.run import environment
from exp.work.fixed_list import JOB, after, check_order, latest_by_tag
from exp.work.heartbeat import SignsOfLife
from exp.work.last_read import GIVEN_BACK, LastRead, slot_holders
from exp.work.locks import ClaimLock
from exp.work.recovery import free_slot, give_up_dependents
from exp.work.settings import WorkPlan
from exp.work.storage import open_storage, retrying

if TYPE_CHECKING:
    from optuna import Study

T = TypeVar("T")
RETRY_SECONDS = 300.0  # seconds without an answer of the storage until a worker gives up
WORKER = "worker"
SWEEP = "sweep"  # the folder that holds a trial's folder
WAITS_FOR = "waits_for"  # the number of a trial that has to end before a waiting one is claimed
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
    n_trials: int | None  # None: a fixed list
    retries: int
    stale_after: float  # seconds
    retry_seconds: float  # seconds
    only: frozenset[str] | None = None  # tags; None: all trials
    signs: SignsOfLife = field(init=False)
    last: LastRead = field(default_factory=LastRead)
    held: set[int] = field(default_factory=set)  # ids of trials that were claimed here, and not told yet

    def __post_init__(self) -> None:
        self.signs = SignsOfLife(self.stale_after)

    def retrying(self, work: Callable[[], T]) -> T:
        def tried() -> T:
            try:
                return work()
            except BaseException:
                self.last.forget()  # what was asked for may have happened
                raise

        return retrying(tried, self.retry_seconds, lambda text: print(text, flush=True))

    def trials(self, newest: bool = True) -> list[FrozenTrial]:
        """Those that this command works on. Not `newest`: as they were read last, if that is not long ago."""
        known = self.last.trials if not newest and self.last.holds() else self.retrying(self._read_trials)
        return known if self.only is None else [trial for trial in known if self._is_ours(trial)]

    def enqueue(self, jobs: Sequence[Mapping[str, Any]], begin_again: Callable[[FrozenTrial], bool]) -> None:
        """Puts jobs into the storage that do not stand there yet.

        Args:
            jobs: Each with `tag` and `after`; in any order.
            begin_again: Whether the finished trial of a job is to run once more.

        Raises:
            ExpError: A job starts from one that is not in the list, or from itself by way of others.
        """
        check_order({job["tag"]: job["after"] for job in jobs})

        def work() -> None:
            with self.lock:
                held = latest_by_tag(self._read_trials())
                for job in jobs:
                    trial = held.get(job["tag"])
                    if trial is None or (trial.state.is_finished() and begin_again(trial)):
                        self.study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={JOB: dict(job)}))

        self.retrying(work)

    def claimable(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Waiting trials whose dependencies are complete, oldest first."""
        open_ones = {trial.number for trial in trials if not trial.state.is_finished()}
        waiting = [
            trial
            for trial in trials
            if trial.state == TrialState.WAITING
            and self._is_ours(trial)
            and trial.user_attrs.get(WAITS_FOR) not in open_ones
        ]
        if all(not after(trial) for trial in waiting):
            return waiting
        held = latest_by_tag(trials)
        done = {tag for tag, trial in held.items() if trial.state == TrialState.COMPLETE}
        return [trial for trial in waiting if done.issuperset(after(trial))]

    def free_slots(self, trials: Sequence[FrozenTrial]) -> int:
        """How many trials a worker could claim now."""
        new = 0 if self.n_trials is None else max(0, self.n_trials - len(slot_holders(trials)))
        return len(self.claimable(trials)) + new

    def is_complete(self, trials: Sequence[FrozenTrial]) -> bool:
        held = slot_holders(trials)
        return len(held) >= (self.n_trials or 0) and all(trial.state.is_finished() for trial in held)

    def claim(self, worker: str, **attrs: Any) -> FrozenTrial | None:
        """A trial that is now this worker's, with `attrs` as user attributes; None when no slot is free."""
        return self.retrying(lambda: self._claim(worker, {WORKER: worker, **attrs}))

    def _claim(self, worker: str, attrs: dict[str, Any]) -> FrozenTrial | None:
        known = self.last.holds()  # before waiting for the lock, which may take longer than reading
        with self.lock:
            if known and self._has_free_slot():
                return self._begin(attrs)
            trials = self._read_trials()
            if self._recover(trials):
                trials = self._read_trials()
            for trial in trials:
                if trial.state == TrialState.RUNNING and trial.user_attrs.get(WORKER) == worker:
                    return trial  # claimed before, but the storage's answer was lost
            waiting = self.claimable(trials)
            if not waiting and (self.n_trials is None or len(slot_holders(trials)) >= self.n_trials):
                return None
            return self._take(waiting[0], attrs) if waiting else self._begin(attrs)

    def _has_free_slot(self) -> bool:
        """Whether a new trial may begin for sure: there are fewer trials than slots, which one question tells."""
        if self.n_trials is None or self.held or self.last.any_waiting:
            return False
        try:
            storage_of(self.study).get_trial_id_from_study_id_trial_number(study_id(self.study), self.n_trials - 1)
        except KeyError:
            return True
        return False

    def _take(self, waiting: FrozenTrial, attrs: Mapping[str, Any]) -> FrozenTrial:
        storage, own = storage_of(self.study), trial_id(waiting)
        storage.set_trial_state_values(own, TrialState.RUNNING)
        for key, value in attrs.items():
            storage.set_trial_user_attr(own, key, value)
        self.last.forget()
        self.held.add(own)
        return storage.get_trial(own)

    def _begin(self, attrs: dict[str, Any]) -> FrozenTrial | None:
        storage = storage_of(self.study)
        own = storage.create_new_trial(study_id(self.study), create_trial(state=TrialState.RUNNING, user_attrs=attrs))
        mine = created(self.study, own)
        # The lock was lost if a database restarted in between; the order of numbers then decides.
        if self.n_trials is not None and mine.number >= self.n_trials:
            before = [trial for trial in slot_holders(self._read_trials()) if trial.number < mine.number]
            if len(before) >= self.n_trials:
                storage.set_trial_user_attr(own, GIVEN_BACK, True)
                storage.set_trial_state_values(own, TrialState.FAIL)
                self.last.forget()
                return None
        self.held.add(own)
        return mine

    def tell(
        self, trial: optuna.Trial, worker: str, state: TrialState, values: Sequence[float] | None, **attrs: Any
    ) -> bool:
        """Writes a trial's result. False if another worker has taken the trial, because this one seemed dead."""

        def work() -> bool:
            storage, own = storage_of(self.study), trial_id(trial)
            self.held.discard(own)
            now = storage.get_trial(own)
            try:
                if now.state == TrialState.RUNNING:
                    for name, distribution in trial.distributions.items():
                        if name not in now.params:  # a database that crashed right after it was drawn
                            value = distribution.to_internal_repr(trial.params[name])
                            storage.set_trial_param(own, name, value, distribution)
                    for key, value in attrs.items():
                        trial.set_user_attr(key, value)
                    tell(self.study, now, state, values, self.lock)
                    return True
            except optuna.exceptions.UpdateFinishedTrialError:
                now = storage.get_trial(own)
            return now.state == state and now.user_attrs.get(WORKER) == worker and "error" not in now.user_attrs

        told = self.retrying(work)
        if state == TrialState.FAIL:
            self.last.forget()  # too many of these end the work
        return told

    def put_back(self, trial: FrozenTrial, worker: str, lost: str | None = None) -> None:
        """For a trial whose run was interrupted and has saved: the next worker goes on with it under its number.

        `lost` says which of its processes died; that costs one of its tries, and after the last one the trial fails.
        """

        def changed(now: FrozenTrial) -> dict[str, Any]:
            key = INTERRUPTED if lost is None else "attempts"
            count = now.user_attrs.get(key, 0) + 1
            given_up = lost is not None and count > self.retries
            return {key: count, **({"error": f"{lost} (attempt {count})"} if given_up else {})}

        self._leave(trial, worker, changed)

    def defer(self, trial: FrozenTrial, worker: str, until: int) -> None:
        """Puts a trial back until the one with the number `until` has ended."""
        self._leave(trial, worker, lambda now: {WAITS_FOR: until})

    def _leave(self, trial: FrozenTrial, worker: str, changed: Callable[[FrozenTrial], dict[str, Any]]) -> None:
        """Lets go of a trial that is still this worker's, with new user attributes; with an error it has failed."""

        def work() -> None:
            with self.lock:
                self.held.discard(trial_id(trial))
                self.last.forget()
                storage = storage_of(self.study)
                now = storage.get_trial(trial_id(trial))
                if now.state == TrialState.RUNNING and now.user_attrs.get(WORKER) == worker:
                    attrs = changed(now)
                    for key, value in attrs.items():
                        storage.set_trial_user_attr(trial_id(trial), key, value)
                    ended = TrialState.FAIL if "error" in attrs else TrialState.WAITING
                    storage.set_trial_state_values(trial_id(trial), ended)

        self.retrying(work)

    def recover(self) -> list[int]:
        """Frees the slots of dead workers' trials, and gives up what waits for a failed one.

        Returns:
            The numbers of the dead workers' trials.
        """

        def work() -> list[int]:
            trials = self._read_trials()
            if not any(trial.state == TrialState.RUNNING or after(trial) for trial in trials):
                return []
            with self.lock:
                return self._recover(self._read_trials())

        return self.retrying(work)

    def _recover(self, trials: Sequence[FrozenTrial]) -> list[int]:
        give_up_dependents(self.study, trials)
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        if not running:
            return []
        beats = self.study.user_attrs
        self.signs.note_absence()
        dead = [trial for trial in running if not self.signs.runs(trial.user_attrs.get(WORKER), beats)]
        for trial in dead:
            free_slot(self.study, trial, trials, self.retries)
        return [trial.number for trial in dead]

    def _read_trials(self) -> list[FrozenTrial]:
        return self.last.anew(lambda: self.study.get_trials(deepcopy=False))

    def _is_ours(self, trial: FrozenTrial) -> bool:
        return self.only is None or trial.user_attrs.get(JOB, {}).get("tag") in self.only


def open_queue(plan: WorkPlan, pruner: optuna.pruners.BasePruner | None = None) -> TrialQueue:
    """The study of a plan, which stands in its storage."""
    storage = retrying(lambda: open_storage(plan.storage, plan.folder), RETRY_SECONDS)
    unused = optuna.samplers.RandomSampler()  # each trial gets a sampler of its own
    study = retrying(
        lambda: optuna.load_study(study_name=plan.study_name, storage=storage, pruner=pruner, sampler=unused),
        RETRY_SECONDS,
    )
    lock = ClaimLock(plan.storage, plan.folder, plan.study_name)
    return TrialQueue(study, lock, plan.n_trials, plan.retries, plan.stale_after, RETRY_SECONDS, plan.only)
