"""What conf/hydra/sweeper/study.yaml holds, checked before anything is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from exp.errors import ExpError, nearest
from exp.study.objective import REDUCTIONS
from exp.work.settings import WorkSettings, check_least

GRID, WILCOXON, NOP = "GridSampler", "WilcoxonPruner", "NopPruner"


@dataclass(frozen=True)
class StudySettings:
    """Names and meanings as in hydra-optuna-sweeper where it has them; defaults stand in the YAML."""

    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    direction: Any
    storage: str | None
    study_name: str | None
    n_trials: int | None
    n_jobs: int
    processes_per_trial: int
    detach: bool
    max_failure_rate: float
    params: Mapping[str, Any] | None
    custom_search_space: str | None
    when: Mapping[str, Any] | None
    link: Sequence[Sequence[str]] | None
    enqueue: Sequence[Mapping[str, Any]] | None
    constraints: Mapping[str, str] | None
    objective: Any
    objective_from: str
    seeds: Sequence[int] | None
    seeds_reduce: str
    bound_errors: float
    retries: int
    beat_every: float
    stale_after: float
    threads: int | None
    pictures: bool

    @property
    def work(self) -> WorkSettings:
        return WorkSettings.of(vars(self))

    @property
    def prunes(self) -> bool:
        return not str(self.pruner["_target_"]).endswith(NOP)

    @property
    def is_grid(self) -> bool:
        return str(self.sampler["_target_"]).endswith(GRID)


def read_settings(given: Mapping[str, Any]) -> StudySettings:
    """Raises ExpError naming the first key that cannot be."""
    plain: dict[str, Any] = {
        key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for key, value in given.items()
    }
    known = [field.name for field in dataclasses.fields(StudySettings)]
    for key in plain:
        if key not in known:
            raise ExpError(f"hydra.sweeper.{key}: no such key{nearest(key, known)}")
    for key in known:
        if key not in plain:
            raise ExpError(f"hydra.sweeper.{key} is missing; conf/hydra/sweeper/study.yaml gives its default")
    settings = StudySettings(**plain)
    _ = settings.work  # checks its part
    _check_numbers(settings)
    if settings.objective_from not in ("best", "last"):
        raise ExpError(f"hydra.sweeper.objective_from={settings.objective_from}: best or last")
    if settings.seeds_reduce not in REDUCTIONS:
        raise ExpError(
            f"hydra.sweeper.seeds_reduce={settings.seeds_reduce}{nearest(settings.seeds_reduce, REDUCTIONS)}"
        )
    if settings.seeds is not None and (not settings.seeds or len(set(settings.seeds)) < len(settings.seeds)):
        raise ExpError(
            f"hydra.sweeper.seeds={list(settings.seeds)}: at least one, none twice; null: the run's own seed"
        )
    if str(settings.pruner["_target_"]).endswith(WILCOXON) and not settings.seeds:
        raise ExpError(
            "hydra/sweeper/pruner=wilcoxon compares trials seed by seed and needs several: "
            "set hydra.sweeper.seeds=[1,2,3,4,5]"
        )
    return settings


def _check_numbers(settings: StudySettings) -> None:
    if settings.n_trials is None and not settings.is_grid:
        raise ExpError("hydra.sweeper.n_trials=null means all cells, which only hydra/sweeper/sampler=grid has")
    if settings.n_trials is not None:
        check_least("n_trials", settings.n_trials, 1)
    check_least("bound_errors", settings.bound_errors, 0)
    if not 0 <= settings.max_failure_rate <= 1:
        raise ExpError(f"hydra.sweeper.max_failure_rate={settings.max_failure_rate} is a share: 0 to 1")
