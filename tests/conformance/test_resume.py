"""A run that was cut anywhere and resumed ends as the run that never was: same events, same weights, bit for bit."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from exp.curves.curve import build
from exp.errors import ExpError
from exp.loop import checkpoint as checkpoints
from exp.loop import outputs
from exp.loop.trial import NoTrial
from exp.run.events import read_events
from exp.run.folder import create, name_of
from exp.testing.loops import config_of, parts_of
from exp.tracker.jsonl import JsonlTracker
from exp.training.fit import begin_with
from exp.training.lifecycle import open_run

LOOPS = ("trainer", "accelerate")
SAVING = ["save_strategy=steps", "save_steps=4", "logging_steps=3", "eval_strategy=steps", "eval_steps=5"]


class Cut(Exception):
    """Stands for whatever ends a process."""


class CuttingTracker(JsonlTracker):
    """Ends the run at the first event of step `at` or later, after it was written."""

    def __init__(self, at: int) -> None:
        self.at = at

    def log(self, metrics, *, step, epoch):
        super().log(metrics, step=step, epoch=epoch)
        if step >= self.at:
            raise Cut


def go(folder, words, at, resume=None):
    from hydra.utils import execution_whitelist
    from omegaconf import OmegaConf

    from exp.options.trust import whitelist
    from exp.training.build import build_loop

    config = config_of(*words)
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(config), folder / ".hydra" / "config.yaml")
    run = open_run(folder, {**config, "resume": resume})
    tracker = CuttingTracker(at)
    tracker.start(run)
    parts = parts_of(config)
    outputs.describe(parts, run)
    with execution_whitelist(whitelist()):
        loop = build_loop(config)
    result = loop.fit(parts, run, tracker, NoTrial())
    tracker.finish("completed")
    return result, parts


def story(folder):
    return [(event.step, event.epoch, event.metrics) for event in read_events(folder / "metrics.jsonl")]


RECIPES = {
    "plain": [],
    "accumulation": ["gradient_accumulation_steps=4", "num_train_epochs=6"],
    "grouped": ["batching=length_grouped"],
    "packed": ["batching=packed", "max_tokens=60"],
    "cosine": ["scheduler=cosine", "scheduler.warmup_steps=3"],
    "early_stopping": ["early_stopping_patience=3", "load_best_model_at_end=true", "num_train_epochs=6"],
    "lora": ["adapter=lora"],
    "pissa": ["adapter=pissa"],
    "p_tuning": ["adapter=p_tuning", "adapter.encoder_reparameterization_type=LSTM", "adapter.encoder_dropout=0.1"],
    "adalora": ["adapter=adalora", "adapter.delta_t=1", "adapter.start_ratio=0.1", "adapter.final_ratio=0.2"],
    "fast": ["speed=fast", "precision=bf16"],
    "plateau": ["scheduler=reduce_on_plateau", "scheduler.patience=0", "optimizer.lr=1e-2"],
}


# Both loops save and restore through one session; what only one of them could get wrong has both.
BOTH = ("accumulation", "early_stopping", "fast", "plateau")
PAIRS = [(recipe, loop) for recipe in RECIPES for loop in LOOPS if recipe in BOTH or loop == "accelerate"]


def _few(recipe):
    """Some steps of the second epoch, where the recipe does not say how many."""
    return [] if any("epochs" in word for word in recipe) else ["max_steps=15"]


@pytest.mark.parametrize(("recipe", "loop"), PAIRS)
def test_cut_runs_end_as_the_whole_run(recipe, loop, tmp_path):
    words = [f"loop={loop}", *SAVING, *RECIPES[recipe], *_few(RECIPES[recipe])]
    whole, parts = go(tmp_path / "whole", words, at=10**9)
    for at in (3, 10):
        with pytest.raises(Cut):
            go(tmp_path / "cut", words, at=at)
    result, again = go(tmp_path / "cut", words, at=10**9)
    assert story(tmp_path / "cut") == story(tmp_path / "whole")
    assert (result.objective, result.best, result.last) == (whole.objective, whole.best, whole.last)
    own, other = parts.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own)
    checkpoints = sorted(path.name for path in (tmp_path / "cut" / "checkpoints").glob("step-*"))
    assert checkpoints == sorted(path.name for path in (tmp_path / "whole" / "checkpoints").glob("step-*"))


def test_events_after_the_checkpoint_are_dropped_and_the_highest_step_is_kept(tmp_path):
    words = ["loop=accelerate", *SAVING]
    with pytest.raises(Cut):
        go(tmp_path, words, at=10)
    steps = [event.step for event in read_events(tmp_path / "metrics.jsonl")]
    assert steps == [3, 5, 6, 9, 10]
    with pytest.raises(Cut):
        go(tmp_path, words, at=9)
    assert [event.step for event in read_events(tmp_path / "metrics.jsonl")] == [3, 5, 6, 9]
    assert json.loads((tmp_path / "run.json").read_text())["logged_until"] == 10


BEST = [*SAVING, "load_best_model_at_end=true", "metric_for_best_model=loss", "optimizer.lr=1e-3", "num_train_epochs=3"]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_kill_between_a_checkpoint_and_its_link_saves_the_best_weights_all_the_same(at, tmp_path, monkeypatch):
    words = ["loop=accelerate", *BEST]
    whole, parts = go(tmp_path / "whole", words, at=10**9)
    calls = []

    def killed(folder, latest, best):
        calls.append(latest)
        if best == latest and sum(step == best for step in calls) == 1 and len(calls) > at:
            raise Cut

    monkeypatch.setattr(checkpoints, "link", killed)
    with pytest.raises(Cut):
        go(tmp_path / "cut", words, at=10**9)
    monkeypatch.undo()
    result, again = go(tmp_path / "cut", words, at=10**9)
    assert result.saved_step == whole.saved_step == result.objective["step"]
    own, other = parts.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own)
    assert (tmp_path / "cut" / "checkpoints" / "best").resolve().name == name_of(result.saved_step)


def test_a_link_that_names_another_step_is_not_asked(tmp_path):
    words = ["loop=accelerate", *BEST, "save_total_limit=9"]
    whole, parts = go(tmp_path / "whole", words, at=10**9)
    with pytest.raises(Cut):
        go(tmp_path / "cut", words, at=25)
    link = tmp_path / "cut" / "checkpoints" / "best"
    link.unlink()
    link.symlink_to(name_of(4))
    result, again = go(tmp_path / "cut", words, at=10**9)
    own, other = parts.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own) and result.saved_step == whole.saved_step


def test_best_weights_that_are_gone_are_said_and_the_result_names_what_is_saved(tmp_path, monkeypatch, caplog):
    words = ["loop=accelerate", *BEST[:-1], "num_train_epochs=1", "metric_for_best_model=accuracy"]
    words += ["early_stopping_threshold=0", "optimizer.lr=1e-9"]  # the first evaluation stays the best
    gone = checkpoints.prune

    def prune(folder, limit, best_step):
        gone(folder, 1, None)

    monkeypatch.setattr(checkpoints, "prune", prune)
    result, _ = go(tmp_path, words, at=10**9)
    assert result.objective["step"] == 5 and result.saved_step == 11
    assert "the best weights, of step 5, cannot be loaded" in caplog.text


def test_a_run_goes_on_from_the_checkpoint_that_is_named(tmp_path):
    words = ["loop=accelerate", *SAVING, "save_total_limit=9"]
    whole, _ = go(tmp_path / "whole", words, at=10**9)
    with pytest.raises(Cut):
        go(tmp_path / "cut", words, at=15)
    named = tmp_path / "cut" / "checkpoints" / name_of(4)
    with pytest.raises(Cut):
        go(tmp_path / "cut", words, at=6, resume=str(named))
    assert [event.step for event in read_events(tmp_path / "cut" / "metrics.jsonl")] == [3, 5, 6]
    result, _ = go(tmp_path / "cut", words, at=10**9)
    assert story(tmp_path / "cut") == story(tmp_path / "whole") and result.best == whole.best


def test_test_metrics_carry_the_step_of_the_weights(tmp_path):
    words = ["loop=accelerate", *BEST, "do_predict=true", "optimizer.lr=3e-2"]
    result, _ = go(tmp_path, words, at=10**9)
    assert result.saved_step == result.objective["step"] < result.cost["steps"]
    assert result.last["test/accuracy"]["step"] == result.best["test/accuracy"]["step"] == result.saved_step
    [event] = [event for event in read_events(tmp_path / "metrics.jsonl") if "test/accuracy" in event.metrics]
    assert event.step == result.saved_step
    evaluated = list(build(read_events(tmp_path / "metrics.jsonl")).series["eval/loss"].steps)
    assert evaluated[-1] == result.cost["steps"]  # the curve is whole


def test_a_new_run_begins_with_a_checkpoints_weights(tmp_path):
    words = ["loop=accelerate", *SAVING]
    with pytest.raises(Cut):
        go(tmp_path / "first", words, at=9)
    run = create(tmp_path / "first", config_of(*words))
    model = parts_of(config_of(*words)).model
    begin_with(run.checkpoints / "latest", model)
    saved = load_file(run.checkpoints / name_of(8) / "weights.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in model.named_parameters())
    for wrong in (tmp_path, run.checkpoints / "step-000099"):
        with pytest.raises(ExpError, match="is no checkpoint"):
            begin_with(wrong, model)
