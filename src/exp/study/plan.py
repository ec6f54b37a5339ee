"""What the workers of a study need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.study.objective import Objective
from exp.study.space import Space


@dataclass(frozen=True)
class StudyPlan:
    """Everything about a study that its workers need, in plain values."""

    study_name: str
    storage: str | None
    folder: Path  # the sweep's
    n_trials: int
    retries: int
    beat_every: float  # seconds
    stale_after: float  # seconds
    max_failure_rate: float  # share of n_trials
    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    seeds: tuple[int, ...]
    space: Space
    custom: str | None  # dotted path of a function of (config, trial) that suggests more
    objective: Objective
    extra: Mapping[str, str]  # overrides of every trial where its config has the key
