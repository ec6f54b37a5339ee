"""Which metrics a config asks for, before any row is read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from exp.config.compose import compose, plain
from exp.errors import ExpError
from exp.study.direction import check_objectives, directions, objective_names
from exp.task import metrics_of


def composed(*overrides):
    return plain(compose(list(overrides)))


@pytest.mark.parametrize(
    ("overrides", "metrics"),
    [
        ([], ("accuracy",)),
        (["data=mrpc"], ("accuracy", "f1")),
        (["data=stsb"], ("pearson", "spearmanr")),
        (["data=stsb", "task.metrics=[mae,kendall]"], ("mae", "kendall")),
        (["data=squad"], ("f1", "exact_match")),
        (["data=tastes"], ("accuracy",)),
        (["data=hub", "data.path=a/b", "task.problem_type=regression"], ("pearson", "spearmanr")),
    ],
)
def test_the_keys_the_data_and_the_default(overrides, metrics):
    assert metrics_of(composed(*overrides)) == metrics


def test_runs_of_the_first_version_name_them_with_the_data():
    assert metrics_of({"data": {"_target_": "exp.data.glue.glue", "metrics": ["f1"]}}) == ("f1",)
    assert metrics_of({}) == ()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=mrpc", "task.metrics=[mse]"], "'mse' is for regression"),
        (["data=mnli", "task.metrics=[f1]"], "the data has 3 classes; use f1_macro"),
        (
            ["data=stsb", "task.metrics=[accuracy]"],
            "'accuracy' is for single_label or tags or choices, and this task is regression",
        ),
    ],
)
def test_metrics_that_do_not_fit_are_refused_before_any_row_is_read(overrides, message):
    with pytest.raises(ExpError, match=message):
        metrics_of(composed(*overrides))


def test_a_study_seeks_the_primary_metric():
    stsb = composed("data=stsb", "task.metrics=[rmse,pearson]")
    assert objective_names(None, stsb) == ["eval/rmse"]
    assert directions(None, ["eval/rmse", "eval_pearson", "eval_mm/mae"], stsb) == ["minimize", "maximize", "minimize"]
    check_objectives(["rmse", "eval/loss", "cost/steps"], stsb)
    with pytest.raises(ExpError, match="no evaluation of this data computes it"):
        check_objectives(["eval/accuracy"], stsb)


def test_it_stays_light():
    code = (
        "import sys; from exp.task import metrics_of; import exp.task.text_classification, exp.data.glue;"
        "print([m for m in ('torch', 'transformers', 'datasets', 'numpy', 'sklearn', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
