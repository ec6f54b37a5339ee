"""A run that was cut anywhere and resumed ends as the run that never was: same events, same weights, bit for bit."""

from __future__ import annotations

import json

import pytest
import torch

from exp.run.events import read_events
from exp.study.trial import NoTrial
from exp.tracker.jsonl import JsonlTracker
from exp.training.lifecycle import open_run
from tests.conformance.runs import config_of, parts_of

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


def go(folder, words, at):
    from hydra.utils import execution_whitelist
    from omegaconf import OmegaConf

    from exp.config.trust import whitelist
    from exp.training.build import build_loop

    config = config_of(*words)
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(config), folder / ".hydra" / "config.yaml")
    run = open_run(folder, config)
    tracker = CuttingTracker(at)
    tracker.start(run)
    parts = parts_of(config)
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
    "cosine": ["scheduler=cosine", "scheduler.warmup_steps=3"],
    "early_stopping": ["early_stopping_patience=3", "load_best_model_at_end=true", "num_train_epochs=6"],
    "lora": ["adapter=lora"],
    "adalora": ["adapter=adalora", "adapter.delta_t=1", "adapter.start_ratio=0.1", "adapter.final_ratio=0.2"],
    "fast": ["speed=fast", "precision=bf16"],
    "plateau": ["scheduler=reduce_on_plateau", "scheduler.patience=0", "optimizer.lr=1e-2"],
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_cut_runs_end_as_the_whole_run(recipe, loop, tmp_path):
    words = [f"loop={loop}", *SAVING, *RECIPES[recipe]]
    whole, parts = go(tmp_path / "whole", words, at=10**9)
    for at in (3, 9, 10):
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
