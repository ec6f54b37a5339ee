"""Which options a result hangs on: the share of each in how the best tenth of the trials differs from all of them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

FEWEST = 10  # distinct complete trials that it is told of; fewer give noise


def importances(study: optuna.Study) -> dict[str, float]:
    """Parameter -> its share, largest first; empty where it cannot be told.

    PED-ANOVA (Watanabe et al. 2023) needs no scikit-learn, which fANOVA does.
    """
    import optuna

    if len(study.directions) > 1 or not enough(study):
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):  # too few trials, or parameters that only some of them have
        return {}
    return {name: round(float(share), 4) for name, share in shares.items()}


def enough(study: optuna.Study) -> bool:
    from optuna.trial import TrialState

    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    return len({str(sorted(trial.params.items())) for trial in complete}) >= FEWEST
