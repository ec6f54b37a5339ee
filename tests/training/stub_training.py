"""A training of milliseconds: leaves a run folder as exp.train does, with faults on demand."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from exp.config.compose import plain
from exp.loop.trial import Trial
from exp.run.events import EventLog
from exp.run.folder import create
from exp.run.result import Result, write_result


def _die(asked: str) -> None:
    """Once: the file that the variable names says that it has."""
    mark = os.environ.get(asked)
    if mark and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def train(cfg: DictConfig, trial: Trial) -> float:
    if os.environ.get("RANK", "0") != "0":  # the first of several processes writes
        time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
        return 0.0
    folder = Path(HydraConfig.get().runtime.output_dir)
    resumed = (folder / "run.json").exists()
    with Path(os.environ["STUB_LOG"]).open("a") as log:
        log.write(f"{'resume ' if resumed else ''}{folder.name} {os.getpid()} {os.environ.get('OMP_NUM_THREADS')}\n")
    if full := os.environ.get("STUB_FULL"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), full)
    _die("STUB_DIE_EARLY")
    run = create(folder, plain(cfg), trial.study)
    _die("STUB_DIE")
    time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
    fail = os.environ.get("STUB_FAIL")
    if fail and fail in " ".join(HydraConfig.get().overrides.task):
        run.finish("failed", "as asked")
        raise RuntimeError("as asked")
    value = {"value": 0.9 + cfg.seed / 1000, "step": 10}
    EventLog(run.metrics_path).append({"eval/accuracy": value["value"]}, step=10, epoch=1)
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "model.safetensors").write_text(run.id)
    (folder / "model" / "config.json").write_text("{}")
    values = {"eval/accuracy": value, "eval/matthews_correlation": value}
    write_result(
        run.result_path, Result("completed", {"name": "eval/accuracy", **value}, values, values, {"train_seconds": 5.0})
    )
    run.finish("completed")
    return value["value"]
