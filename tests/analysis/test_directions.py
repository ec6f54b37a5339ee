"""Readers of runs use the direction that a run recorded, and the metric's name where it recorded none."""

from __future__ import annotations

import math

from exp.analysis.grouping import _ordered
from exp.analysis.run_data import Point, extremes, full_name
from exp.curves.curve import build, eval_metrics, facts_of, primary_key
from exp.run.events import Event

ROWS = [
    {"train/loss": 1.0, "eval/loss": 0.7, "eval/log_loss": 0.7, "eval/cost": 1.0, "eval/f1": math.nan},
    {"train/loss": 0.5, "eval/loss": 0.6, "eval/log_loss": 0.6, "eval/cost": 3.0, "eval/f1": 0.5},
    {"train/loss": 0.2, "eval/loss": 0.9, "eval/log_loss": 0.9, "eval/cost": 2.0, "eval/f1": 0.4},
]
EVENTS = [Event(step=step, epoch=float(step), time=0.0, metrics=metrics) for step, metrics in enumerate(ROWS, 1)]


def test_best_values_from_the_events_alone():
    best, last = extremes(EVENTS)
    assert best == {
        "eval/loss": Point(0.6, 2),
        "eval/log_loss": Point(0.6, 2),
        "eval/cost": Point(1.0, 1),
        "eval/f1": Point(0.5, 2),
    }
    assert last["eval/f1"] == Point(0.4, 3)
    assert extremes(EVENTS, {"cost": True})[0]["eval/cost"] == Point(3.0, 2)


def test_facts_of_a_run_that_turned_its_objective_round():
    facts = facts_of({"data": {"objective": "eval/loss", "greater_is_better": True, "directions": {"cost": True}}})
    assert facts.primary_metric == "loss"
    assert facts.rises("eval/loss") and facts.rises("eval/cost") and not facts.rises("eval/log_loss")


def test_a_metric_whose_name_ends_in_loss_is_a_metric():
    curve = build(EVENTS)
    assert eval_metrics(curve) == ["eval/log_loss", "eval/cost", "eval/f1"]
    assert primary_key(curve, facts_of({"data": {"metrics": ["log_loss"]}})) == "eval/log_loss"


def test_order_and_full_names():
    known = {"eval/loss", "eval/cost", "test/f1", "eval/f1"}
    assert _ordered(known, {}) == ("eval/f1", "eval/cost", "eval/loss", "test/f1")
    assert _ordered(known, {"cost": True}) == ("eval/cost", "eval/f1", "eval/loss", "test/f1")
    assert [full_name(name, known) for name in ("f1", "eval_f1", "test/f1", "bleu")] == [
        "eval/f1",
        "eval/f1",
        "test/f1",
        "bleu",
    ]
