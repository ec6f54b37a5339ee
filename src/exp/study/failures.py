"""When a study should stop, because too many trials failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState

from exp.errors import ExpError
from exp.work.last_read import GIVEN_BACK, slot_holders
from exp.work.worker import SAME_FAILURES

if TYPE_CHECKING:
    from exp.study.plan import StudyPlan


def reason_to_stop(trials: Sequence[FrozenTrial], plan: StudyPlan) -> ExpError | None:
    """The reason to run no further trial, else None. Workers ask before each trial, so that the limit is exact."""
    ended = [trial for trial in slot_holders(trials) if trial.state.is_finished()]
    failed = [trial for trial in ended if trial.state == TrialState.FAIL and not trial.user_attrs.get(GIVEN_BACK)]
    if not failed:
        return None
    last = failed[-1]
    where = f"trial {last.number}: {last.user_attrs.get('error')}; see {last.user_attrs.get('folder', plan.folder)}"
    alike = {trial.user_attrs.get("error") for trial in failed}
    if len(ended) == len(failed) >= SAME_FAILURES and len(alike) == 1 and plan.max_failure_rate < 1:
        told = f"the first {len(ended)} trials all failed in the same way, so every other would"
        return ExpError(f"{told}. {where}")
    if len(failed) > plan.max_failure_rate * plan.n_trials:
        share = f"max_failure_rate={plan.max_failure_rate} of {plan.n_trials} trials"
        return ExpError(f"{len(failed)} trials failed, more than {share} allows. The last: {where}")
    return None
