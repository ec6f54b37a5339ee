"""An objective that takes milliseconds: a parabola in x, learnt along a curve, with faults on demand."""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from exp.loop.trial import NoTrial, Trial
from exp.run.events import read_events

CONF = str(Path(__file__).parent / "conf")
WHITELIST = ("exp.*", "hydra_plugins.*", "optuna.*", "app.*")


def objective(cfg: DictConfig, trial: Trial = NoTrial()) -> Any:  # noqa: B008 (stateless)
    folder = Path(HydraConfig.get().runtime.output_dir)
    with (folder / "starts").open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
    fault(cfg)
    value = 0.0
    metrics = folder / "metrics.jsonl"
    for step in range(len(read_events(metrics)) + 1, cfg.evaluations + 1):
        time.sleep(cfg.seconds)
        value = 1 - (cfg.x - 0.3) ** 2 - 1 / (1 + step) + 0.01 * cfg.seed
        trial.report(value, step * 10)
        if trial.should_prune():
            (folder / "pruned").write_text(str(step))
            return value
        if cfg.fault == "interrupt_once" and step == 2 and cfg.seed == cfg.fault_above and not Path(cfg.mark).exists():
            Path(cfg.mark).write_text("")
            events = [{"step": at, "epoch": 0, "time": 0, "metrics": {"eval/f1": 0}} for at in (10, 20)]
            metrics.write_text("".join(json.dumps(event) + "\n" for event in events))
            raise SystemExit(75)  # as a run does that has saved
    if os.environ.get("RANK", "0") == "0":
        (folder / "done").write_text(str(value))
    if cfg.bytes is not None:
        found = {"objective": {"value": value}, "cost": {"peak_memory_bytes": cfg.bytes * cfg.x}}
        (folder / "result.json").write_text(json.dumps(found))
    if cfg.two:
        return value, cfg.x
    return value


def fault(cfg: DictConfig) -> None:
    if cfg.fault == "raise" and cfg.x > cfg.fault_above:
        raise RuntimeError("x is too large")
    if cfg.fault == "always":
        raise RuntimeError("no such thing")
    if cfg.fault == "disk" and cfg.x > cfg.fault_above and not Path(cfg.mark).exists():
        with Path("/dev/full").open("w") as file:
            file.write("x" * 100_000)
    if cfg.fault == "nan":
        raise FloatingPointError("the loss is NaN")
    if cfg.fault == "kill" and cfg.x > cfg.fault_above:
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.fault == "kill_rank" and os.environ["RANK"] == "1" and not Path(cfg.mark).exists():
        Path(cfg.mark).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.fault == "kill_once" and not Path(cfg.mark).exists():
        Path(cfg.mark).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)


def more(cfg: DictConfig, trial: Any) -> None:
    """A custom_search_space."""
    trial.suggest_float("part.rate", 0.1, 0.2)


objective.imports = "exp.study.recipe"  # type: ignore[attr-defined]  so that workers are forks
objective.of_trial = lambda trial: functools.partial(objective, trial=trial)  # type: ignore[attr-defined]
main = hydra.main(config_path=CONF, config_name="config", execution_whitelist=WHITELIST)(objective)

if __name__ == "__main__":
    main()
