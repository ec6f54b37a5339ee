"""What conf/hydra/sweeper/study.yaml holds, checked before anything is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt, MinLen
from omegaconf import OmegaConf

from exp.errors import ExpError, nearest
from exp.options.option import construct
from exp.study.objective import REDUCTIONS
from exp.work.settings import Count, Natural, Seconds, WorkSettings

GRID, WILCOXON, NOP = "GridSampler", "WilcoxonPruner", "NopPruner"


@dataclass(frozen=True)
class StudySettings:
    """Names and meanings as in hydra-optuna-sweeper where it has them; defaults stand in the YAML."""

    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    direction: str | Sequence[str] | None
    storage: str | None
    study_name: str | None
    n_trials: Count | None
    n_jobs: Natural
    max_failure_rate: Annotated[float, Ge(0), Le(1)]
    processes_per_trial: Count
    detach: bool
    params: Mapping[str, Any] | None
    custom_search_space: str | None
    when: Mapping[str, Any] | None
    link: Sequence[Sequence[str]] | None
    enqueue: Sequence[Mapping[str, Any]] | None
    constraints: Mapping[str, str] | None
    objective: str | Annotated[Sequence[str], MinLen(1)] | None
    objective_from: Literal["best", "last"]
    seeds: Sequence[Annotated[int, Ge(0), Lt(2**32)]] | None
    seeds_reduce: str
    bound_errors: Annotated[float, Ge(0)]
    retries: Natural
    beat_every: Seconds
    stale_after: Seconds
    run_equal_trials: bool
    threads: Count | None
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
    settings: StudySettings = construct(StudySettings, plain, "hydra.sweeper")
    _ = settings.work  # checks its part
    for key in ("sampler", "pruner"):
        if not isinstance(getattr(settings, key).get("_target_"), str):
            raise ExpError(f"hydra.sweeper.{key} holds no option; choose one: hydra/sweeper/{key}=...")
    if settings.n_trials is None and not settings.is_grid:
        raise ExpError("hydra.sweeper.n_trials=null means all cells, which only hydra/sweeper/sampler=grid has")
    seed = settings.sampler.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32):
        raise ExpError(f"hydra.sweeper.sampler.seed={seed} must be 0 or more and below {2**32}, or null")
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
