"""Names of Optuna that are not public, each with the reason. tests/compat/test_optuna.py notices a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna import Study, Trial
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


def take_waiting(study: Study) -> int | None:
    """Sets the oldest waiting trial to running; its id, None where none waits. The public `ask` makes one then."""
    return study._pop_waiting_trial_id()
