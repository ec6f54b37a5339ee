"""The grammar of metric keys, and what is best."""

from __future__ import annotations

import math

import pytest

from exp.loop.stopping import Stopping
from exp.metrics.best import Extremes, directions_of, gain, rises
from exp.metrics.key import Key


@pytest.mark.parametrize(
    ("text", "key", "kind", "suffix", "short"),
    [
        ("eval/accuracy", Key("eval", "accuracy"), "eval", "", "accuracy"),
        ("eval_mm/accuracy", Key("eval_mm", "accuracy"), "eval", "mm", "eval_mm/accuracy"),
        ("test_a_b/f1", Key("test_a_b", "f1"), "test", "a_b", "test_a_b/f1"),
        ("train/grad_norm", Key("train", "grad_norm"), "train", "", "train/grad_norm"),
        ("eval/f1/macro", Key("eval", "f1/macro"), "eval", "", "f1/macro"),
        ("evaluation/f1", Key("evaluation", "f1"), "", "", "evaluation/f1"),
        ("epoch", Key("", "epoch"), "", "", "epoch"),
    ],
)
def test_a_recorded_key_and_its_text(text, key, kind, suffix, short):
    found = Key.of(text)
    assert (found, found.kind, found.suffix, found.short) == (key, kind, suffix, short)
    assert str(found) == text
    if kind:
        assert Key.make(kind, suffix, found.name) == found


@pytest.mark.parametrize("spelled", ["accuracy", "eval_accuracy", "eval/accuracy"])
def test_three_spellings_mean_one_key(spelled):
    assert Key.parse(spelled) == Key("eval", "accuracy")
    assert Key.find(spelled, ["train/loss", "eval/accuracy", "eval_mm/accuracy"]) == "eval/accuracy"


def test_other_sets_are_named_in_full():
    known = ["eval/accuracy", "eval_mm/accuracy", "test/accuracy"]
    assert Key.parse("eval_mm/accuracy") == Key("eval_mm", "accuracy")
    assert Key.find("eval_mm/accuracy", known) == "eval_mm/accuracy"
    assert Key.find("test_accuracy", known) == "test/accuracy"
    assert Key.find("acuracy", known) is None
    # A metric whose own name begins as a set does.
    assert Key.find("eval_cost", ["eval/eval_cost", "eval/loss"]) == "eval/eval_cost"


@pytest.mark.parametrize(
    "name",
    ["loss", "log_loss", "mse", "my_rmse", "nMAE", "hamming_loss", "brier", "word_error_rate", "perplexity", "cost"],
)
def test_errors_fall(name):
    assert not Key("eval", name).greater_is_better


@pytest.mark.parametrize(
    "name", ["accuracy", "f1_macro", "r2", "bleu", "lossless_share", "answer_rate", "combined_score", "roc_auc"]
)
def test_other_metrics_rise(name):
    assert Key("eval_mm", name).greater_is_better


def test_what_measures_quality():
    keys = ["eval/accuracy", "eval/loss", "test/f1", "eval/runtime", "eval/samples_per_second", "train/loss", "epoch"]
    assert [text for text in keys if Key.of(text).is_quality] == ["eval/accuracy", "eval/loss", "test/f1"]


def test_nan_is_never_better():
    assert gain(0.5, 0.25, True) == 0.25 == -gain(0.5, 0.25, False)
    assert math.isnan(gain(math.nan, None, True)) and math.isnan(gain(math.nan, 0.5, False))
    assert gain(-1.0, math.nan, True) == gain(-1.0, None, False) == math.inf
    assert gain(0.5, 0.5, True) == 0.0


def test_extremes_go_by_each_metrics_own_direction():
    extremes = Extremes({"cost": True, "eval/accuracy": False})
    rows = [
        {"eval/loss": 0.5, "eval/accuracy": 0.7, "test/accuracy": 0.7, "eval/cost": 1.0, "train/lr": 1.0},
        {"eval/loss": math.nan, "eval/accuracy": 0.9, "test/accuracy": 0.9, "eval/cost": 3.0, "train/lr": 2.0},
        {"eval/loss": 0.6, "eval/accuracy": 0.8, "test/accuracy": 0.8, "eval/cost": 2.0, "train/lr": 0.5},
    ]
    for step, metrics in enumerate(rows, 1):
        extremes.add(metrics, step)
    assert extremes.best == {
        "eval/loss": {"value": 0.5, "step": 1},
        "eval/accuracy": {"value": 0.7, "step": 1},  # turned round for this key alone
        "test/accuracy": {"value": 0.9, "step": 2},
        "eval/cost": {"value": 3.0, "step": 2},
    }
    assert extremes.last["train/lr"] == {"value": 0.5, "step": 3}


def test_a_number_replaces_a_nan_as_the_best():
    extremes = Extremes({})
    for step, value in enumerate([math.nan, math.nan, 0.1, 0.0], 1):
        extremes.add({"eval/f1": value}, step)
    assert extremes.best["eval/f1"] == {"value": 0.1, "step": 3}


def test_stopping_and_extremes_agree_on_the_best_step():
    values = [math.nan, 0.5, 0.5, math.nan, 0.7, 0.7, 0.6]
    for greater in (True, False):
        stopping, extremes = Stopping(greater, None, 0.0), Extremes({"eval/x": greater})
        for step, value in enumerate(values, 1):
            stopping.update(value, step)
            extremes.add({"eval/x": value}, step)
        assert extremes.best["eval/x"] == {"value": stopping.best, "step": stopping.best_step}
    assert stopping.best_step == 2


def test_directions_that_a_run_recorded():
    assert directions_of({"objective": "eval/loss", "greater_is_better": True}) == {"eval/loss": True}
    assert directions_of({"directions": {"cost": True}, "objective": "eval/f1"}) == {"cost": True}
    assert directions_of({}) == {}
    assert rises("eval_mm/cost", {"cost": True}) and not rises("eval/cost", {})
