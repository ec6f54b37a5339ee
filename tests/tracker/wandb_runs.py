"""Runs as the W&B tracker sees them, without training."""

from __future__ import annotations

from pathlib import Path

import yaml

from exp.tracker.wandb import Wandb
from tests.tracker.folders import leave_results


def tracker(**changes) -> Wandb:
    options = yaml.safe_load((Path(__file__).parents[2] / "conf" / "tracker" / "wandb.yaml").read_text())
    del options["_target_"]
    return Wandb(**{**options, "init_timeout": 10.0, "finish_timeout": 20.0, **changes})


def train(tracker, run, *, steps=(10, 20), status="completed") -> None:
    tracker.start(run)
    for step in steps:
        tracker.log({"train/loss": 1 / step, "train/lr": 1e-4}, step=step, epoch=step / 20)
        tracker.log({"eval/accuracy": step / 100, "eval_mm/accuracy": 0.5}, step=step, epoch=step / 20)
    if status in ("completed", "pruned"):
        leave_results(run, status)
    else:
        run.finish(status, "a reason")
    tracker.finish(status)
