"""Names of Optuna that are not public, each with the reason. tests/compat/test_optuna.py notices a change."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from optuna.pruners import _filter_study
from optuna.samplers import CmaEsSampler, TPESampler
from optuna.storages._cached_storage import _CachedStorage
from optuna.study import Study, StudyDirection
from optuna.study._tell import _check_values_are_feasible
from optuna.trial import Trial, TrialState

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


def storage_of(study: Study) -> BaseStorage:
    """The storage as the study uses it, with its cache. System attributes and trial states are set only there."""
    return study._storage


def study_id(study: Study) -> int:
    """The storage's number of a study; the public `get_study_id_from_name` is a query each time."""
    return study._study_id


def trial_id(trial: Trial | FrozenTrial) -> int:
    """The storage's number of a trial, which its methods take; the public `number` counts within the study."""
    return trial._trial_id


def created(study: Study, trial_id: int) -> FrozenTrial:
    """A trial that this process has just created.

    A cached database keeps what it made, but says only its id; `get_trial` asks the database six times.
    """
    storage: Any = study._storage
    if isinstance(storage, _CachedStorage):
        study_id, number = storage._trial_id_to_study_id_and_number[trial_id]
        return storage._studies[study_id].trials[number]
    return storage.get_trial(trial_id)


def opened(study: Study, claimed: FrozenTrial) -> Trial:
    """As `optuna.Trial`, for a trial that was read just now. Optuna's own reads it again: six questions to a database.

    Reading is all that it asks of the storage there, beside what the sampler does before each trial.
    """
    read = study._storage.get_trial

    def answer(trial_id: int) -> FrozenTrial:
        return copy.deepcopy(claimed) if trial_id == claimed._trial_id else read(trial_id)

    with _answering(study, "get_trial", answer):
        return Trial(study, claimed._trial_id)


@contextmanager
def read_once(study: Study) -> Iterator[None]:
    """All draws of a trial are made from one reading of all trials. TPE reads them twice, in some milliseconds.

    What the trial itself has drawn meanwhile stands in the trial that a sampler is given, not among these.
    """
    read = study._storage.get_all_trials
    known: list[FrozenTrial] = []

    def answer(
        study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> Sequence[FrozenTrial]:
        known[:] = known or read(study_id, deepcopy=False)
        found = [trial for trial in known if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    with _answering(study, "get_all_trials", answer):
        yield


@contextmanager
def _answering(study: Study, method: str, answer: Any) -> Iterator[None]:
    """The study's storage, which is this thread's alone, answers a method by `answer`."""
    own = vars(study._storage)
    before = own.get(method)
    own[method] = answer
    try:
        yield
    finally:
        del own[method]
        if before is not None:
            own[method] = before


def tell(
    study: Study,
    trial: FrozenTrial,
    state: TrialState,
    values: Sequence[float] | None,
    lock: AbstractContextManager,
) -> None:
    """As `study.tell`, for a running trial as it was read just now; only the last step is done under the lock.

    Optuna's own reads the trial before and after, six questions to a database each.
    """
    study._thread_local.cached_all_trials = None
    if state == TrialState.COMPLETE:
        if wrong := _check_values_are_feasible(study, values or []):
            raise ValueError(wrong)
    elif state == TrialState.PRUNED and trial.last_step is not None:
        last = [trial.intermediate_values[trial.last_step]]
        values = None if _check_values_are_feasible(study, last) else last
    seen = _filter_study(study, trial)
    try:
        seen.sampler.after_trial(seen, trial, state, values)
    finally:
        with lock:
            study._storage.set_trial_state_values(trial._trial_id, state, values)


def keep_search_space(before: BaseSampler, now: BaseSampler) -> None:
    """What TPE knows of the parameters of earlier trials: a new sampler looks through all trials again.

    Both are of one study and made from one config.
    """
    if type(before) is TPESampler and type(now) is TPESampler:
        now._search_space = before._search_space
        now._group_decomposed_search_space = before._group_decomposed_search_space


def passing(log: Mapping[str, Any]) -> bool:
    """Whether a line of a journal is of a trial at work or of who is alive, and of no trial's beginning or end.

    Optuna's numbers of the kinds of lines are not public.
    """
    from optuna.storages.journal._storage import JournalOperation as Kind

    return log["op_code"] in (
        Kind.SET_STUDY_USER_ATTR,
        Kind.SET_TRIAL_PARAM,
        Kind.SET_TRIAL_INTERMEDIATE_VALUE,
        Kind.SET_TRIAL_USER_ATTR,
        Kind.SET_TRIAL_SYSTEM_ATTR,
    )


class ReplayedCmaEs(CmaEsSampler):
    """CMA-ES that reads no pickle, and draws what Optuna's own draws.

    Optuna's own keeps its optimizer as a pickle among a trial's attributes: whoever can write into the storage runs
    code in everyone who goes on with the study. The optimizer is a function of the finished generations, so here it
    is made from them anew, in less than a millisecond a generation.
    """

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        self._asked = (study.direction, search_space)
        return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        """None while the first generation is not finished, as in Optuna."""
        import numpy as np
        from optuna._transform import _SearchSpaceTransform

        direction, search_space = self._asked
        trans = _SearchSpaceTransform(search_space, transform_step=not self._with_margin, transform_0_1=True)
        before = self._cma_rng.rng.get_state()
        optimizer = self._init_optimizer(trans, direction)
        sign = 1 if direction == StudyDirection.MINIMIZE else -1
        while True:
            told = self._get_solution_trials(completed_trials, optimizer.generation)[: optimizer.population_size]
            if len(told) < optimizer.population_size:
                break
            points = [
                np.array(trial.system_attrs["x_for_tell"]) if self._with_margin else trans.transform(trial.params)
                for trial in told
            ]
            optimizer.tell([(point, sign * (trial.value or 0.0)) for point, trial in zip(points, told, strict=True)])
        # Optuna draws a seed where nothing is restored: until the first generation is told. Here that changes nothing.
        if optimizer.generation == 0 or self._get_solution_trials(completed_trials, 1):
            self._cma_rng.rng.set_state(before)
        return optimizer if optimizer.generation else None
