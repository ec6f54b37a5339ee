"""What a study says at its end."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from exp.metrics.importance import importances
from exp.study.identity import program_command
from exp.study.pictures import draw
from exp.study.report import _text


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


def test_pictures_name_the_best_trial_and_the_front(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from matplotlib.figure import Figure

    told = {}
    save = Figure.savefig

    def keep(figure, path, **options):
        told[path.stem.rpartition(".")[2]] = (
            [text.get_text() for text in figure.axes[0].texts],
            figure.axes[0].get_title(),
        )
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    one = optuna.create_study(direction="maximize")
    two = optuna.create_study(directions=["maximize", "minimize"])
    for rate, value, seconds in ((1e-5, 0.7, 3.0), (1e-4, 0.9, 5.0), (1e-3, 0.6, 9.0)):
        lr = {"optimizer.lr": optuna.distributions.FloatDistribution(1e-6, 1e-2, log=True)}
        params = {"params": {"optimizer.lr": rate}, "distributions": lr}
        one.add_trial(optuna.create_trial(**params, value=value, intermediate_values={10: value}))
        two.add_trial(optuna.create_trial(**params, values=[value, seconds]))
    for study, names in ((one, ("eval/accuracy",)), (two, ("eval/accuracy", "cost/train_seconds"))):
        plan = SimpleNamespace(
            folder=tmp_path, objective=SimpleNamespace(names=names), space=SimpleNamespace(params=[None])
        )
        drawn = draw(study, plan)
        assert {path.stem for path in (tmp_path / "pictures").glob("*.png")} >= set(drawn)
    assert told["optimization_history"] == (["trial 1"], "")
    assert told["pareto_front"] == (["trial 0", "trial 1"], "")
