"""What a study says at its end."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from exp.study.identity import program_command
from exp.study.report import _text, importances


@pytest.mark.parametrize("value", ["a b", "x,y", "it's", "[1]", "", 3, 2e-5, True, None, ["a b", 1], "plain/path.csv"])
def test_a_value_of_the_command_to_train_it_again_reads_back(value: Any) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"x={_text(value)}"])
    assert OmegaConf.to_container(OmegaConf.create({"x": override.value()})) == {"x": value}


def test_an_interpolation_stays_one() -> None:
    assert _text("${seed}") == "${seed}"


@pytest.mark.parametrize(("distinct", "told"), [(9, False), (10, True)])
def test_importances_are_told_from_ten_distinct_trials_on(distinct: int, told: bool) -> None:
    study = optuna.create_study()
    spread = {"lr": optuna.distributions.FloatDistribution(0, 1)}
    for number in [*range(distinct), 0, 0, 0]:  # the same again says nothing new
        trial = optuna.trial.create_trial(params={"lr": number / 10}, distributions=spread, value=number / 10)
        study.add_trial(trial)
    assert bool(importances(study)) is told


def test_a_sweep_that_exp_started_says_how_exp_trains_its_best_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["exp sweep", "lr"])
    assert program_command(1) == "exp train"
    assert program_command(2) == "torchrun --nproc-per-node 2 -m exp.train"
