"""Each state from a curve that shows it, and from a neighbour that must not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from exp.curves.curve import Facts, build
from exp.curves.live import LiveRules
from exp.curves.rules import verdict
from exp.curves.verdict import STATES, Thresholds
from exp.run.events import Event

LN2 = math.log(2)
MRPC = Facts("accuracy", chance_loss=LN2, chance_train_loss=LN2, floors={"accuracy": (0.684, 0.023)}, eval_examples=408)
LIMITS = Thresholds()


def events(train, evals=(), accuracy=(), every=10, lr=None):
    """Train losses `every` steps; evaluations spread evenly over them."""
    rows = [Event(every * (i + 1), 0.0, float(i), {"train/loss": v}) for i, v in enumerate(train)]
    if lr:
        rows = [Event(r.step, r.epoch, r.time, {**r.metrics, "train/lr": lr[i]}) for i, r in enumerate(rows)]
    gap = len(train) * every // max(len(evals), 1)
    for i, loss in enumerate(evals):
        metrics = {"eval/loss": loss}
        if accuracy:
            metrics["eval/accuracy"] = accuracy[i]
        rows.append(Event(gap * (i + 1), float(i), 0.0, metrics))
    return sorted(rows, key=lambda row: row.step)


def judge(rows, facts=MRPC):
    return verdict(build(rows), facts, LIMITS)


def falling(start, end, count):
    return [start + (end - start) * i / (count - 1) for i in range(count)]


def test_the_course_printed_an_overfitting_run():
    # LLM course, chapter 3: validation loss after three epochs, while the training loss fell.
    rows = events(falling(0.65, 0.1, 30), [0.381, 0.458, 0.666], [0.8456, 0.8529, 0.8578])
    found = judge(rows)
    assert found.state == "overfitting"
    assert found.step == 100
    assert "75%" in found.evidence[0]  # 0.666 / 0.381 - 1
    assert "gained 0.0122" in found.evidence[2]
    assert found.best.step == 300 and found.cost == 0.0
    assert any("regularise" in line for line in found.remedies)


def test_the_last_checkpoint_is_priced_against_the_best():
    rows = events(falling(0.65, 0.1, 40), [0.5, 0.4, 0.5, 0.6], [0.75, 0.82, 0.81, 0.80])
    found = judge(rows)
    assert (found.best.step, found.last.step) == (200, 400)
    assert found.cost == pytest.approx(0.02)
    assert found.best.loss == 0.4
    assert "costs 0.02 against the best (0.82, step 200)" in found.text()


def test_rising_loss_without_falling_training_loss_is_not_overfitting():
    rows = events([0.6] * 40, [0.5, 0.4, 0.5, 0.6], [0.75, 0.82, 0.81, 0.80])
    assert judge(rows).state != "overfitting"


def test_one_small_rise_is_noise():
    rows = events(falling(0.65, 0.1, 40), [0.5, 0.45, 0.40, 0.43], [0.75, 0.78, 0.82, 0.82])
    assert judge(rows).state != "overfitting"
    rows = events(falling(0.65, 0.1, 40), [0.5, 0.45, 0.40, 0.46], [0.75, 0.78, 0.82, 0.82])
    assert judge(rows).state == "overfitting"


def test_a_rise_near_zero_is_not_overfitting():
    rows = events(falling(0.6, 0.001, 40), [0.01, 0.002, 0.003, 0.004], [0.99, 0.999, 0.999, 0.999])
    assert not judge(rows).broken


def test_a_loss_above_guessing_is_unstable():
    rows = events([0.7, 0.69, 0.9, 1.8, 0.8, 0.7, 0.69, 0.69], [0.7, 0.69, 0.69], [0.684] * 3)
    found = judge(rows)
    assert found.state == "unstable" and found.step == 40
    assert "1.8" in found.evidence[0]
    assert any("learning rate" in line for line in found.remedies)


def test_a_loss_above_guessing_all_along_is_unstable():
    found = judge(events([0.75, 0.8, 0.85, 0.78, 0.9] * 6, [0.75, 0.72, 0.8], [0.684, 0.6, 0.684]))
    assert found.state == "unstable" and "median is 0.8" in found.evidence[0]
    assert judge(events([0.70, 0.69, 0.74, 0.68, 0.7] * 6, [0.7, 0.69, 0.7], [0.684] * 3)).state == "underfitting"
    unknown = Facts(primary_metric="pearson", eval_examples=408)
    assert judge(events([0.7] + [0.8] * 29, [0.7, 0.7, 0.7]), unknown).state != "unstable"


def test_the_training_loss_is_judged_by_what_guessing_gives_of_it():
    """A focal loss is small, a teacher's may be large; the evaluation's loss is the model's own all the same."""
    focal, taught = (replace(MRPC, chance_train_loss=loss) for loss in (LN2 / 4, 2.0))
    small = events([0.17, 0.17, 0.35, 0.3, 0.2, 0.17], [0.7, 0.69, 0.69], [0.684] * 3)
    large = events(falling(1.9, 0.9, 30), [0.6, 0.55, 0.5], [0.70, 0.76, 0.8])
    assert [judge(small, facts).state for facts in (MRPC, focal)] == ["underfitting", "unstable"]
    assert [judge(large, facts).state for facts in (MRPC, taught)] == ["unstable", "improving"]


def test_one_bad_batch_is_averaged_out():
    train = [0.5] * 40
    train[20] = 2.0  # one optimizer step of many
    rows = events(train, [0.5, 0.48, 0.47], [0.75, 0.76, 0.77], every=1)
    assert judge(rows).state != "unstable"


def test_a_relapse_is_unstable():
    train = [*falling(0.69, 0.1, 10), *falling(0.2, 0.6, 10)]
    assert judge(events(train, [0.5, 0.5, 0.6], [0.8, 0.75, 0.7])).state == "unstable"


def test_a_collapse_to_the_majority_class_is_unstable():
    train = [*falling(0.69, 0.55, 10), *falling(0.6, 0.69, 10)]
    found = judge(events(train, [0.6, 0.55, 0.65, 0.69], [0.72, 0.80, 0.69, 0.684]))
    assert found.state == "unstable"
    assert "no better than guessing (0.684)" in found.evidence[0]


def test_not_finite_is_unstable_without_any_evaluation():
    rows = [*events([0.7, 0.6]), Event(30, 0.0, 0.0, {"train/loss": math.nan})]
    found = judge(rows)
    assert found.state == "unstable" and found.step == 30


def test_an_undefined_correlation_is_not_instability():
    rows = events(falling(2.0, 0.5, 30), [1.0, 0.8, 0.6])
    rows.append(Event(300, 3.0, 0.0, {"eval/pearson": math.nan}))
    assert judge(rows, Facts("pearson", floors={"pearson": (0.0, 0.026)})).state == "improving"


@pytest.mark.parametrize(
    ("accuracy", "state"),
    # One standard error of 408 examples above: 0.684 + 0.023 = 0.707.
    [(0.684, "underfitting"), (0.700, "underfitting"), (0.715, "converged")],
)
def test_failed_is_not_above_the_majority_class_by_one_standard_error(accuracy, state):
    rows = events([0.64] * 40, [0.63, 0.625, 0.63, 0.628], [accuracy] * 4)
    assert judge(rows).state == state


def test_matthews_correlation_is_compared_with_zero():
    facts = Facts("matthews_correlation", LN2, {"matthews_correlation": (0.0, 0.031)}, 1043)
    rows = events([0.62] * 40, [0.62] * 4)
    for row in [row for row in rows if "eval/loss" in row.metrics]:
        row.metrics["eval/matthews_correlation"] = 0.02  # 1 / sqrt(1042) = 0.031, as the task says
    assert judge(rows, facts).state == "underfitting"


def test_every_metric_that_the_task_knows_chance_of_is_compared():
    """Entity F1 of a tagger that answers O everywhere is 0, while its accuracy is high."""
    floors = {"entity_f1": (0.0, 0.03), "accuracy": (0.94, 0.004)}
    facts = Facts("entity_f1", chance_loss=math.log(13), chance_train_loss=math.log(13), floors=floors)
    rows = events([0.3] * 40, [0.3] * 4)
    for row in [row for row in rows if "eval/loss" in row.metrics]:
        row.metrics.update({"eval/entity_f1": 0.0, "eval/accuracy": 0.94})
    found = judge(rows, facts)
    assert found.state == "underfitting" and len(found.evidence) == 2
    for row in [row for row in rows if "eval/loss" in row.metrics]:
        row.metrics["eval/entity_f1"] = 0.2
    assert judge(rows, facts).state != "underfitting"


def test_a_model_that_still_learns_has_not_failed_yet():
    rows = events(falling(0.70, 0.60, 30), [0.69, 0.66, 0.62], [0.684] * 3)
    found = judge(rows)
    assert found.state == "improving"
    assert any("not yet above guessing" in line for line in found.evidence)


def test_without_chance_levels_the_training_loss_decides():
    assert judge(events([0.7] * 20, [0.7] * 3), Facts()).state == "underfitting"
    found = judge(events(falling(0.7, 0.4, 20), [0.5] * 3), Facts())
    assert found.state == "converged"
    assert any("unknown" in line for line in found.caveats)


def test_two_evaluations_are_insufficient():
    found = judge(events(falling(0.69, 0.4, 20), [0.5, 0.4], [0.7, 0.8]))
    assert found.state == "insufficient"
    assert judge([]).state == "insufficient"


def test_a_plateau_with_a_decayed_rate_carries_its_caveat():
    rows = events(falling(0.69, 0.3, 40), [0.5, 0.41, 0.40, 0.40], [0.78, 0.8, 0.8, 0.8], lr=falling(5e-5, 0, 40))
    found = judge(rows)
    assert found.state == "converged"
    assert any("decayed to 0%" in line for line in found.caveats)
    assert any("1/408" in line for line in found.caveats)


def test_train_loss_above_eval_loss_is_explained_by_dropout():
    rows = events(falling(0.69, 0.5, 40), [0.5, 0.41, 0.40, 0.40], [0.78, 0.8, 0.8, 0.8])
    assert any("dropout" in line for line in judge(rows).caveats)


def test_a_resume_replaces_what_it_repeats():
    rows = [
        Event(10, 0, 0, {"train/loss": 0.6}),
        Event(20, 0, 0, {"train/loss": 0.5}),
        Event(30, 0, 0, {"train/loss": 9.0}),
        Event(20, 0, 0, {"train/loss": 0.55}),  # resumed from step 10
        Event(20, 0, 0, {"eval/loss": 0.5}),
    ]
    curve = build(rows)
    assert curve.get("train/loss").steps == (10, 20)
    assert curve.get("train/loss").values == (0.6, 0.55)
    assert curve.get("eval/loss").values == (0.5,)


def test_live_warnings_come_once_and_at_the_time():
    live = LiveRules(MRPC, LIMITS)
    rows = events(falling(0.65, 0.05, 60), [0.5, 0.4, 0.5, 0.6, 0.7, 0.8], [0.75, 0.82, 0.81, 0.80, 0.8, 0.8])
    told = [(warning.state, warning.step) for row in rows for warning in live.update(row)]
    assert told == [("overfitting", 300)]
    assert [w.state for w in live.update(Event(610, 0, 0, {"train/loss": math.inf}))] == ["unstable"]
    assert live.update(Event(620, 0, 0, {"train/loss": math.nan})) == []


def test_live_does_not_call_a_slow_start_failed():
    live = LiveRules(MRPC, LIMITS)
    rows = events([0.64] * 60, [0.63] * 6, [0.684] * 6)
    told = [(warning.state, warning.step) for row in rows for warning in live.update(row)]
    assert told == [("underfitting", 500)]


def test_every_state_has_words():
    from exp.curves.verdict import REMEDIES, TITLES

    assert set(STATES) == set(TITLES) == set(REMEDIES)


def test_live_looks_stay_linear_in_a_long_run(monkeypatch):
    from exp.curves import live as module

    looks = []
    monkeypatch.setattr(module, "unstable", lambda *given: looks.append(1))
    live = LiveRules(MRPC, LIMITS)
    for step in range(1, 5001):
        live.update(Event(step, 0, 0, {"train/loss": 0.5}))
    assert len(looks) < 400
