"""What the workers of a study need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exp.study.objective import Objective
from exp.study.space import Space
from exp.work.settings import WorkPlan


@dataclass(frozen=True)
class StudyPlan(WorkPlan):
    """Everything about a study that its workers need, in plain values."""

    n_trials: int  # of a study there is always a total
    max_failure_rate: float  # share of n_trials
    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    seeds: tuple[int, ...]
    space: Space
    custom: str | None  # dotted path of a function of (config, trial) that suggests more
    objective: Objective
    run_equal_trials: bool  # False: a trial that is equal to an earlier one takes its values
    extra: Mapping[str, str]  # overrides of every trial where its config has the key
