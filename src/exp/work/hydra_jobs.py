"""Runs one training of a study or table: composes its config and calls Hydra's own `run_job` in its folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

from hydra.core.utils import run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from exp.compat.hydra import returned
from exp.loop.trial import Trial
from exp.work.job_configs import JobConfigs
from exp.work.trial_ranks import run_ranks


class TrialTask(Protocol):
    """A task that is told of the trial it is. A plain function of the config is a task too; nothing prunes it.

    Args:
        imports: A module that imports what every run of it does, and no more.
    """

    imports: str

    def check(self, cfg: DictConfig) -> None:
        """Raises ExpError for a config that cannot be run."""
        ...

    def of_trial(self, trial: Trial) -> TaskFunction: ...


@dataclass(frozen=True)
class JobRun:
    folder: Path
    value: Any  # what the task returned
    seconds: float  # inside the task


@dataclass(frozen=True)
class HydraJobs:
    """`master` is the config of the whole sweep or table; a run's overrides come after its."""

    master: DictConfig
    context: HydraContext
    task: TaskFunction
    processes: int = 1  # that train one run

    @cached_property
    def _configs(self) -> JobConfigs:
        return JobConfigs(self.master, self.context.config_loader)

    def compose(self, overrides: Sequence[str], name: str, number: int) -> DictConfig:
        """The config of one run. Raises ExpError where it cannot be run: files that others can write say what it is."""
        config = self._configs.compose(overrides)
        with open_dict(config.hydra.job):
            config.hydra.job.id, config.hydra.job.num = name, number
        if (check := getattr(self.task, "check", None)) is not None:
            check(config)
        return config

    def run(self, config: DictConfig, trial: Trial) -> JobRun:
        """Raises what the task raises; RankDied where one of several processes was lost."""
        if self.processes == 1:
            return self.run_here(config, trial)
        return run_ranks(self.processes, partial(self.run_here, config), trial)

    def run_here(self, config: DictConfig, trial: Trial) -> JobRun:
        """In this process alone, or as one of several."""
        of_trial = getattr(self.task, "of_trial", None)
        task = of_trial(trial) if of_trial is not None else self.task
        seconds = 0.0

        def timed(cfg: DictConfig) -> Any:
            nonlocal seconds
            begun = time.perf_counter()
            try:
                return task(cfg)
            finally:
                seconds = time.perf_counter() - begun

        job = run_job(
            hydra_context=self.context,
            task_function=timed,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        value = returned(job)
        return JobRun(Path(job.hydra_cfg.hydra.runtime.output_dir), value, seconds)  # type: ignore[union-attr]
