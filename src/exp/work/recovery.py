"""What becomes of a dead worker's trial, and of the jobs that wait for one that failed. Both under the study's lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState, create_trial

from exp.compat.optuna import storage_of, trial_id
from exp.work.fixed_list import JOB, after, latest_by_tag
from exp.work.last_read import GIVEN_BACK, RETRY_OF

if TYPE_CHECKING:
    from optuna import Study


def give_up_dependents(study: Study, trials: Sequence[FrozenTrial]) -> None:
    waiting = [trial for trial in trials if trial.state == TrialState.WAITING and after(trial)]
    if not waiting:
        return
    storage, held = storage_of(study), latest_by_tag(trials)
    failed = {tag for tag, trial in held.items() if trial.state == TrialState.FAIL}
    for trial in waiting:
        if first := failed.intersection(after(trial)):
            storage.set_trial_user_attr(trial_id(trial), "error", f"starts from {min(first)}, which failed")
            storage.set_trial_state_values(trial_id(trial), TrialState.FAIL)


def free_slot(study: Study, trial: FrozenTrial, trials: Sequence[FrozenTrial], retries: int) -> None:
    """Marks a dead worker's trial as failed. Its parameters run again under a new number, `retries` times."""
    storage = storage_of(study)
    is_retried = any(one.user_attrs.get(RETRY_OF) == trial.number for one in trials)
    attempts = int(trial.user_attrs.get("attempts", 0)) + 1
    if not is_retried and attempts <= retries:
        again = create_trial(
            state=TrialState.WAITING,
            user_attrs={
                RETRY_OF: trial.number,
                "attempts": attempts,
                **{key: trial.user_attrs[key] for key in (JOB,) if key in trial.user_attrs},
            },
            # A grid's cell goes with it; what was not drawn yet is drawn freely.
            system_attrs={
                **trial.system_attrs,
                "fixed_params": {**trial.system_attrs.get("fixed_params", {}), **trial.params},
            },
        )
        study.add_trial(again)
    if is_retried or attempts <= retries:
        storage.set_trial_user_attr(trial_id(trial), GIVEN_BACK, True)
    storage.set_trial_user_attr(trial_id(trial), "error", f"its worker died (attempt {attempts})")
    storage.set_trial_state_values(trial_id(trial), TrialState.FAIL)
