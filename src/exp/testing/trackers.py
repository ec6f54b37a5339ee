"""What a run may rely on of every tracker. A tracker writes where it likes, and never to standard output."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exp.run.folder import Run, create
from exp.run.result import Result, write_result
from exp.tracker.base import Tracker

CONFIG = {"seed": 7, "model": {"path": "x"}, "optimizer": {"lr": 1e-4, "betas": [0.9, 0.999]}}
ENDS = ("completed", "interrupted", "failed", "pruned")


def a_whole_life(make: Callable[[], Tracker], folder: Path, status: str = "completed") -> None:
    """Start, numbers that are not finite among others, an alert, results on disk, the end."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        tracker, run = make(), new_run(folder)
        tracker.start(run)
        tracker.log({"train/loss": 0.7, "train/lr": 1e-4, "train/grad_norm": 2.0}, step=1, epoch=0.5)
        tracker.log({"train/loss": math.nan, "train/grad_norm": math.inf}, step=2, epoch=1.0)
        tracker.log({"eval/accuracy": 0.5, "eval_mm/accuracy": 0.5}, step=2, epoch=1.0)
        tracker.alert("unstable", "the loss jumps")
        if status == "completed":
            leave_result(run)
        run.finish(status)
        tracker.finish(status)
    assert said.getvalue() == "", "standard output belongs to the command"


def a_run_without_a_number(make: Callable[[], Tracker], folder: Path) -> None:
    """It stopped before its first step."""
    tracker, run = make(), new_run(folder)
    tracker.start(run)
    run.finish("failed", "no such column")
    tracker.finish("failed")


def the_numbers_given_are_not_changed(make: Callable[[], Tracker], folder: Path) -> None:
    tracker, run, metrics = make(), new_run(folder), {"train/loss": 0.7}
    tracker.start(run)
    tracker.log(metrics, step=1, epoch=0.5)
    run.finish("completed")
    tracker.finish("completed")
    assert metrics == {"train/loss": 0.7}


def one_run_after_another(make: Callable[[], Tracker], folder: Path) -> None:
    """One tracker object is not used twice, but what a library keeps for the process must not hinder the next run."""
    for name in ("first", "second"):
        tracker, run = make(), new_run(folder / name)
        tracker.start(run)
        tracker.log({"train/loss": 0.7}, step=1, epoch=0.5)
        run.finish("completed")
        tracker.finish("completed")


def new_run(folder: Path, config: dict[str, Any] = CONFIG) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    return create(folder, config)


def leave_result(run: Run) -> None:
    objective = {"name": "eval/accuracy", "value": 0.75, "step": 20}
    best = {"eval/accuracy": {"value": 0.75, "step": 20}}
    write_result(run.result_path, Result("completed", objective, best, {}, {"train_seconds": 1.5}))
    run.update(data={"name": "toy", "label_names": ["no", "yes"], "metrics": ["accuracy"]})
