"""Fails in words when Optuna changes a name that exp.compat.optuna uses."""

from __future__ import annotations

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
