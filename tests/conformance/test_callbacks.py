"""Callbacks of transformers: the same calls with the same state in both loops, obeyed, resumed, and watched."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState

from exp.errors import ExpError
from exp.loop import outputs
from exp.loop.trial import NoTrial
from exp.run.folder import create
from exp.testing.loops import Recorder, config_of, parts_of
from exp.training.build import build_callbacks, build_loop

LOOPS = ("trainer", "accelerate")
EVENTS = [name for name in vars(TrainerCallback) if name.startswith("on_")]
SHOWN = ("global_step", "epoch", "max_steps", "num_train_epochs", "best_metric", "best_global_step")


class Recording(TrainerCallback):
    """Keeps every call with what it saw."""

    def __init__(self):
        self.calls = []

    def _keep(self, event, args, state, control, given):
        flags = {key: value for key, value in vars(control).items() if key.startswith("should_")}
        seen = {key: getattr(state, key) for key in SHOWN}
        more = {key: given[key] for key in ("logs", "metrics") if key in given}
        assert given["model"] is not None and given["optimizer"].param_groups and given["lr_scheduler"] is not None
        self.calls.append((event, seen, flags, copy.deepcopy(more), len(state.log_history)))


for event in EVENTS:
    setattr(Recording, event, lambda self, args, state, control, _=event, **kw: self._keep(_, args, state, control, kw))


def train(folder, callbacks, *words):
    config = config_of(*words)
    parts = replace(parts_of(config), callbacks=callbacks)
    folder.mkdir(parents=True, exist_ok=True)
    recorder, run = Recorder(), create(folder, config)
    outputs.describe(parts, run)
    result = build_loop(config).fit(parts, run, recorder, NoTrial())
    return recorder, result, parts


SAID = ["gradient_accumulation_steps=4", "save_strategy=epoch", "logging_steps=2", "load_best_model_at_end=true"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Loop -> the calls of one run of two epochs, three steps each, and the run without callbacks."""
    folder = tmp_path_factory.mktemp("recorded")
    found = {}
    for loop in LOOPS:
        callback = Recording()
        found[loop] = callback, train(folder / loop, {"recording": callback}, f"loop={loop}", *SAID)
    plain = train(folder / "plain", {}, "loop=accelerate", *SAID)
    return found, plain


def test_both_loops_make_the_same_calls_with_the_same_state(recorded):
    found, _ = recorded
    ours, theirs = (found[loop][0].calls for loop in LOOPS)
    assert [call[0] for call in ours] == [call[0] for call in theirs]
    for one, two in zip(ours, theirs, strict=True):
        assert (one[1]["global_step"], one[2], one[4]) == (two[1]["global_step"], two[2], two[4])
        first, second = ({**call[1], **call[3].get("logs", call[3].get("metrics", {}))} for call in (one, two))
        known = {key: value for key, value in first.items() if value is not None}
        assert known == pytest.approx({key: second[key] for key in known}, rel=1e-6) and set(first) == set(second)


def test_the_calls_come_in_trainers_order(recorded):
    events = [call[0].removeprefix("on_") for call in recorded[0]["accelerate"][0].calls]
    begin = ["init_end", "train_begin", "epoch_begin"]
    step = ["step_begin", *["substep_end"] * 3, "pre_optimizer_step", "optimizer_step", "step_end"]
    last = ["step_begin", *["substep_end"] * 2, "pre_optimizer_step", "optimizer_step", "step_end", "epoch_end"]
    evaluation = ["log", "evaluate", "save"]
    first_epoch = [*step, *step, "log", *last, *evaluation]
    second_epoch = ["epoch_begin", *step, "log", *step, *last, "log", *evaluation]
    assert events == [*begin, *first_epoch, *second_epoch, "train_end"]


def test_what_they_see_is_what_trainer_shows(recorded):
    callback, (recorder, result, _) = recorded[0]["accelerate"]
    logs = [call[3]["logs"] for call in callback.calls if call[0] == "on_log"]
    assert set(logs[0]) == {"loss", "learning_rate", "grad_norm", "epoch"} and "eval_accuracy" in logs[1]
    assert logs[0]["loss"] == recorder.of("train/loss")[0][1]
    evaluated = [call for call in callback.calls if call[0] == "on_evaluate"]
    assert [call[1]["best_metric"] for call in evaluated] == [None, recorder.of("eval/accuracy")[0][1]]
    assert callback.calls[-1][1]["best_metric"] == result.objective["value"]
    assert [call[1]["epoch"] for call in callback.calls if call[0] == "on_epoch_end"] == [1.0, 2.0]


def test_a_callback_that_only_looks_changes_no_number(recorded):
    found, (plain, result, _) = recorded
    assert found["accelerate"][1][0].events == plain.events
    assert found["accelerate"][1][1].objective == result.objective


class Asking(TrainerCallback):
    """Sets flags of the control at given steps."""

    def __init__(self, **steps):
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        for flag, step in self.steps.items():
            if state.global_step == step:
                setattr(control, f"should_{flag}", True)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_a_callback_asks_for_is_done(loop, tmp_path):
    asking = Asking(log=1, evaluate=2, save=3, training_stop=5)
    said = ["logging_strategy=no", "eval_strategy=epoch", "num_train_epochs=3"]
    recorder, result, _ = train(tmp_path, {"asking": asking}, f"loop={loop}", *said)
    assert [step for step, _ in recorder.of("train/loss")] == [1]
    assert [step for step, _ in recorder.of("eval/loss")] == [2, 5]
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == ["step-000003"]
    assert result.status == "completed" and result.stopped_early and result.saved_step == 5
    assert result.reason == "callbacks.asking asked for the end in on_step_end"


@pytest.mark.parametrize("loop", LOOPS)
def test_transformers_early_stopping_stops_where_ours_does(loop, tmp_path):
    said = [f"loop={loop}", "eval_strategy=steps", "eval_steps=2", "num_train_epochs=8", "optimizer.lr=1e-12"]
    theirs, result, _ = train(tmp_path / "theirs", {"early": EarlyStoppingCallback(2)}, *said)
    ours, expected, _ = train(tmp_path / "ours", {}, *said, "early_stopping_patience=2")
    assert theirs.of("eval/loss") == ours.of("eval/loss") and len(ours.of("eval/loss")) == 3
    assert result.stopped_early and expected.stopped_early
    made = build_callbacks(config_of("callbacks=[early_stopping,printer]", "callbacks.early_stopping.patience=2"))
    assert made["early_stopping"].early_stopping_patience == 2 and list(made) == ["early_stopping", "printer"]


class Counting(TrainerCallback, ExportableState):
    def __init__(self):
        self.count = 0

    def on_step_end(self, args, state, control, **kwargs):
        self.count += 1

    def state(self):
        return {"args": {}, "attributes": {"count": self.count}}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_resumed_run_goes_on_with_its_callbacks_state(loop, tmp_path):
    said = [f"loop={loop}", "save_strategy=steps", "save_steps=4", "save_total_limit=null", "max_steps=8"]
    whole, cut = (Counting(), Recording()), (Counting(), Recording())
    train(tmp_path / "whole", dict(zip("ab", whole, strict=True)), *said)
    place = tmp_path / "cut" / "checkpoints"
    place.mkdir(parents=True)
    (tmp_path / "whole" / "checkpoints" / "step-000004").rename(place / "step-000004")
    state = json.loads((place / "step-000004" / "state.json").read_text())
    assert state["counters"]["callbacks"]["states"] == {"a": {"count": 4}, "b": None}
    train(tmp_path / "cut", dict(zip("ab", cut, strict=True)), *said)
    assert cut[0].count == whole[0].count == 8
    after = [call for call in whole[1].calls if call[1]["global_step"] >= 4 and call[0] != "on_save"]
    resumed = [call for call in cut[1].calls if call[0] not in ("on_init_end", "on_train_begin", "on_save")]
    start = next(i for i, call in enumerate(after) if call[0] == "on_step_begin")
    assert resumed[1:] == after[start:]  # the epoch that it stands in begins once more


class Bad(TrainerCallback):
    def __init__(self, act):
        self.act = act

    def on_step_end(self, args, state, control, **kwargs):
        return self.act(args, state, control)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda args, state, control: 1 / 0, "on_step_end failed: ZeroDivisionError: division by zero"),
        (lambda args, state, control: setattr(state, "global_step", 0), r"sets state.global_step, which it may only"),
        (lambda args, state, control: setattr(args, "eval_steps", 1), r"sets args.eval_steps, which it may only read"),
        (lambda args, state, control: state.log_history.append({}), "changes state.log_history"),
        (lambda args, state, control: setattr(control, "should_epoch_stop", True), "sets control.should_epoch_stop"),
        (lambda args, state, control: True, "returns bool; it may return the control, or nothing"),
    ],
)
@pytest.mark.parametrize("loop", LOOPS)
def test_one_that_fails_or_meddles_ends_the_run_with_its_name(loop, act, said, tmp_path):
    with pytest.raises(ExpError, match=rf"callbacks.bad: .*{said}") as error:
        train(tmp_path, {"bad": Bad(act)}, f"loop={loop}", "max_steps=2")
    assert "\n" not in str(error.value)


def test_what_is_no_callback_is_refused(monkeypatch):
    monkeypatch.setattr("exp.callbacks.printer.Printer.make", lambda self: 3)
    with pytest.raises(ExpError, match=r"callbacks.printer gives int in place of transformers.*TrainerCallback"):
        build_callbacks(config_of("callbacks=[printer]"))
