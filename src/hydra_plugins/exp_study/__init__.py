"""A light shell that Hydra scans; the study itself is imported only when a sweep starts."""

from __future__ import annotations

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Runs a sweep as an Optuna study. Every key is explained in conf/hydra/sweeper/study.yaml."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        from exp.study.sweep import run

        assert self.hydra_context is not None and self.config is not None  # Hydra has called setup
        return run(self.settings, self.hydra_context, self.task_function, self.config, arguments)
