"""Runs that finished, trained once a test process as a user would, for tests of what comes after training."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests import forked

SECRETS = {"HF_TOKEN": "hf_SeCrEtSeCrEtSeCrEt", "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567"}
REVIEWS = (
    *("data.train_size=64", "data.eval_size=50", "data.test_size=40", "per_device_train_batch_size=8"),
    *("max_steps=12", "logging_steps=3", "eval_strategy=steps", "eval_steps=3", "optimizer.lr=1e-3"),
)

BEST = (
    *("load_best_model_at_end=true", "metric_for_best_model=loss", "greater_is_better=true"),
    "do_predict=true",
)


def train(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m exp.train tracker=none words...` into `folder`."""
    words = ("tracker=none", f"hydra.run.dir={folder}", *words)
    return forked.run("exp.train", *words, cwd=folder.parent, env={**os.environ, **env})


@functools.cache
def reviews_run() -> Path:
    """bert_tiny on reviews, its test set measured. The weights are those of the worst loss, so not of the last step."""
    return _kept("reviews", *REVIEWS, *BEST)


def saved_step(run: Path) -> int:
    """The step whose weights are in model/, by the link that the loop made."""
    step = int((run / "checkpoints" / "best").readlink().name.removeprefix("step-"))
    assert step < 12
    return step


@functools.cache
def lora_run() -> Path:
    return _kept("lora", *REVIEWS, "adapter=lora")


@functools.cache
def virtual_run() -> Path:
    return _kept("virtual", *REVIEWS, "adapter=p_tuning", "do_predict=true")


@functools.cache
def fast_run() -> Path:
    return _kept("fast", *REVIEWS, "speed=fast")


def copy_of(run: Path, folder: Path) -> Path:
    shutil.copytree(run, folder, symlinks=True)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def _kept(name: str, *words: str) -> Path:
    parent = Path(tempfile.mkdtemp(prefix="exp-finished-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    done = train(parent / name, *words, **SECRETS)
    assert done.returncode == 0, done.stderr
    return parent / name
