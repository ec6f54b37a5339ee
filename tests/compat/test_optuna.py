"""Fails in words when Optuna changes a name that exp.compat.optuna uses."""

from __future__ import annotations

import contextlib
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from exp.compat import optuna as private


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="s")


@pytest.mark.parametrize("name", ["_storage", "_study_id"])
def test_a_study_still_has(study: optuna.Study, name: str) -> None:
    assert hasattr(study, name), f"optuna {optuna.__version__} has no Study.{name} any more: see exp.compat.optuna"


def test_storage_and_ids_are_those_that_the_storage_knows(study: optuna.Study) -> None:
    storage, number = private.storage_of(study), private.study_id(study)
    assert isinstance(storage, BaseStorage)
    assert storage.get_study_id_from_name("s") == number
    trial = study.ask()
    assert hasattr(trial, "_trial_id"), f"optuna {optuna.__version__} has no Trial._trial_id any more"
    assert storage.get_trial(private.trial_id(trial)).number == trial.number
    assert private.trial_id(study.get_trials()[0]) == private.trial_id(trial)


def test_a_waiting_trial_is_taken_once(study: optuna.Study) -> None:
    study.add_trial(create_trial(state=TrialState.WAITING))
    (waiting,) = study.trials
    storage = private.storage_of(study)
    assert storage.set_trial_state_values(private.trial_id(waiting), TrialState.RUNNING)
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING]
    assert not storage.set_trial_state_values(private.trial_id(waiting), TrialState.RUNNING)


def test_the_storage_still_takes_what_a_board_writes(study: optuna.Study) -> None:
    for name in ("set_study_system_attr", "set_trial_state_values", "set_trial_user_attr", "set_trial_param"):
        assert hasattr(BaseStorage, name), f"optuna's storages have no {name} any more: see exp.work.trial_queue"


def test_a_journal_still_numbers_its_lines(tmp_path) -> None:
    """Only lines of a trial at work, and of who is alive, may reach the disk later."""
    from optuna.storages.journal import JournalStorage

    logs: list[dict] = []

    class Backend:
        def append_logs(self, new: list[dict]) -> None:
            logs.extend(new)

        def read_logs(self, start: int) -> list[dict]:
            return logs[start:]

    study = optuna.create_study(storage=JournalStorage(Backend()))  # type: ignore[arg-type]
    study.set_user_attr("alive", 1)
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.report(0.5, 1)
    trial.set_user_attr("y", 1)
    study.tell(trial, 0.5)
    assert [private.passing(log) for log in logs] == [False, True, False, True, True, True, False]


@pytest.mark.parametrize("storage", [None, "sqlite:///{}/s.db"])
def test_a_trial_that_was_just_made_is_known_by_its_id(storage: str | None, tmp_path: Path) -> None:
    study = optuna.create_study(storage=storage and storage.format(tmp_path))
    blank = create_trial(state=TrialState.RUNNING, user_attrs={"worker": "me"})
    for number in range(2):
        made = private.created(study, private.storage_of(study).create_new_trial(private.study_id(study), blank))
        assert made == study.trials[number], "optuna's cache keeps another trial than it has made: see created()"


class Remembers(optuna.samplers.RandomSampler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list = []

    def after_trial(self, study, trial, state, values) -> None:  # type: ignore[no-untyped-def]
        self.seen.append((trial.number, state, values))


@pytest.mark.parametrize("pruner", [None, optuna.pruners.HyperbandPruner(1, 9, 3)])
def test_told_for_a_trial_that_was_read_is_told_as_optuna_does(pruner: optuna.pruners.BasePruner | None) -> None:
    def told(tell) -> tuple:  # type: ignore[no-untyped-def]
        study = optuna.create_study(study_name="s", pruner=pruner, sampler=Remembers())
        for state, values, reports in (
            (TrialState.COMPLETE, [2.0], []),
            (TrialState.COMPLETE, [float("nan")], []),
            (TrialState.COMPLETE, [1.0, 2.0], []),
            (TrialState.PRUNED, None, [3.0]),
            (TrialState.PRUNED, None, [float("nan")]),
            (TrialState.PRUNED, None, []),
            (TrialState.FAIL, None, []),
        ):
            trial = study.ask()
            for report in reports:
                trial.report(report, 1)
            with contextlib.suppress(ValueError):
                tell(study, trial, state, values)
        return [(trial.state, trial.values) for trial in study.trials], study.sampler.seen

    def ours(study, trial, state, values) -> None:  # type: ignore[no-untyped-def]
        read = private.storage_of(study).get_trial(private.trial_id(trial))
        private.tell(study, read, state, values, contextlib.nullcontext())

    def theirs(study, trial, state, values) -> None:  # type: ignore[no-untyped-def]
        study.tell(trial, values, state)

    assert told(ours) == told(theirs)
    assert len(told(ours)[1]) == 5


def test_a_finished_trial_is_not_told_again(study: optuna.Study) -> None:
    trial = study.ask()
    read = private.storage_of(study).get_trial(private.trial_id(trial))
    study.tell(trial, 1.0)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        private.tell(study, read, TrialState.COMPLETE, [2.0], contextlib.nullcontext())
    assert study.best_value == 1.0


@pytest.mark.parametrize("group", [False, True])
def test_a_sampler_that_takes_over_a_search_space_draws_as_one_that_looks_itself(group: bool) -> None:
    """And it looks at new trials alone; a range that has changed leaves the space for both."""

    def sampler(seed: int) -> optuna.samplers.TPESampler:
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=group, n_startup_trials=2)

    drawn = []
    for keeps in (False, True):
        study = optuna.create_study(sampler=sampler(0))
        rows = []
        for number in range(12):
            before, study.sampler = study.sampler, sampler(number)
            if keeps:
                private.keep_search_space(before, study.sampler)
            trial = study.ask()
            wide = 1.0 if number < 8 else 2.0
            rows.append((trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, wide)))
            study.tell(trial, sum(rows[-1]))
        drawn.append(rows)
        known = study.sampler._search_space if not group else study.sampler._group_decomposed_search_space
        assert known is not None, f"optuna {optuna.__version__}: see exp.compat.optuna.keep_search_space"
    assert drawn[0] == drawn[1]


def test_trials_that_a_search_space_knows_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.search_space import intersection

    looked: list[int] = []
    found = intersection._calculate

    def counting(trials, pruned, space, since):
        looked.append(since)
        return found(trials, pruned, space, since)

    monkeypatch.setattr(intersection, "_calculate", counting)
    study = optuna.create_study()
    for number in range(3):
        before, study.sampler = study.sampler, optuna.samplers.TPESampler(seed=number, multivariate=True)
        private.keep_search_space(before, study.sampler)
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, 0.0)
    assert looked[-1] > 0, f"optuna {optuna.__version__} starts anew: see exp.compat.optuna.keep_search_space"


class Counted(optuna.storages.InMemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self.readings = {"one": 0, "all": 0}

    def get_trial(self, trial_id):  # type: ignore[no-untyped-def]
        self.readings["one"] += 1
        return super().get_trial(trial_id)

    def get_all_trials(self, study_id, deepcopy=True, states=None):  # type: ignore[no-untyped-def]
        self.readings["all"] += 1
        return super().get_all_trials(study_id, deepcopy, states)


@pytest.mark.parametrize("pruner", [None, optuna.pruners.HyperbandPruner(1, 9, 3)])
@pytest.mark.parametrize(
    ("sampler", "given"),
    [
        ("TPESampler", {"n_startup_trials": 2}),
        ("QMCSampler", {}),
        ("GridSampler", {"search_space": {"x": [0.1, 0.2, 0.3, 0.4], "y": [0, 1, 2]}}),
        ("NSGAIISampler", {"population_size": 4}),
    ],
)
def test_a_trial_read_once_draws_as_one_that_optuna_reads_again(
    sampler: str, given: dict, pruner: optuna.pruners.BasePruner | None
) -> None:
    drawn, asked = [], []
    for ours in (False, True):
        made = getattr(optuna.samplers, sampler)(seed=1, **given)
        held = Counted()
        study = optuna.create_study(storage=held, study_name="s", sampler=made, pruner=pruner)
        rows: list[dict] = []
        for number in range(10):
            own = held.create_new_trial(private.study_id(study))
            claimed = optuna.storages.InMemoryStorage.get_trial(held, own)
            trial = private.opened(study, claimed) if ours else optuna.Trial(study, own)
            with private.read_once(study) if ours else contextlib.nullcontext():
                rows.append({"x": trial.suggest_float("x", 0, 1), "y": trial.suggest_int("y", 0, 2)})
            assert trial.params == rows[-1]
            value = rows[-1]["x"] + number / 9
            private.tell(study, held.get_trial(own), TrialState.COMPLETE, [value], contextlib.nullcontext())
        drawn.append(rows)
        asked.append(held.readings)
        assert not {"get_trial", "get_all_trials"} & set(vars(held)), "the storage is left as it was"
    assert drawn[0] == drawn[1]
    assert asked[1]["one"] == asked[0]["one"] - 10, asked
    if sampler == "TPESampler":
        assert asked[1]["all"] < asked[0]["all"], asked
