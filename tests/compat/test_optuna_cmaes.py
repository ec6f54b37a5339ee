"""Fails in words when Optuna changes a name that exp.compat.optuna uses."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import CmaEsSampler

from exp.compat.optuna import ReplayedCmaEs

pytest.importorskip("cmaes")


def searched(made: type[CmaEsSampler], margin: bool, spoil: Any = None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    for number in range(30):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study.sampler = made(seed=number + 7, with_margin=margin)
        trial = study.ask()
        x = trial.suggest_float("x", -5, 5)
        y = trial.suggest_int("y", -5, 5) if margin else trial.suggest_float("y", -5, 5)
        if spoil is not None:
            study._storage.set_trial_system_attr(trial._trial_id, "cma:optimizer:0", spoil)
        study.tell(trial, (x - 1) ** 2 + (y + 2) ** 2)
    return study


@pytest.mark.parametrize("margin", [False, True])
def test_it_draws_what_optunas_own_draws(margin: bool) -> None:
    own, ours = searched(CmaEsSampler, margin), searched(ReplayedCmaEs, margin)
    for theirs, mine in zip(own.trials, ours.trials, strict=True):
        assert mine.params == pytest.approx(theirs.params, rel=1e-9)
    assert not any("optimizer" in key for trial in ours.trials for key in trial.system_attrs), "no pickle is kept"


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_in_a_trial_is_not_read(tmp_path: Path) -> None:
    mark = tmp_path / "code_ran"
    spoil = pickle.dumps(Touch(mark)).hex()
    searched(ReplayedCmaEs, False, spoil)
    assert not mark.exists()
    pickle.loads(bytes.fromhex(spoil))
    assert mark.exists(), "the pickle would have run code"
