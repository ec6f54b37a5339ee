"""What tests over examples found, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exp.analysis.evidence.resample import Crossed
    from exp.metrics.calibration import Calibration


@dataclass(frozen=True)
class ItemScore:
    """Of one condition, the mean over its seeds. [low, high] is a BCa interval over examples, for these seeds."""

    value: float
    low: float
    high: float
    error: float  # standard error over examples, or over clusters of them


@dataclass(frozen=True)
class ItemDifference:
    """Condition less baseline, on the same examples, the mean over `pairs` of runs.

    `low`, `high`, `error` and `p` are over examples, for these seeds; `both` is over examples and seeds.
    """

    value: float
    low: float
    high: float
    error: float
    p: float
    test: str  # McNemar | randomisation
    pairs: int
    only: tuple[tuple[int, int], ...]  # of each pair: examples that one side alone got right; empty: no 0/1 scores
    detectable: float  # the smallest difference that 80% of such sets would show at 5%; NaN: nothing varies
    both: Crossed | None  # None for one pair of runs
    holm: float = math.nan
    both_holm: float = math.nan


@dataclass(frozen=True)
class SliceScore:
    """Of one condition on the rows of one slice, the mean over its seeds; NaN where there are too few rows.

    `p` is of the difference to all other rows, `holm` over the slices of the condition.
    """

    name: str
    n: int
    value: float
    low: float
    high: float
    rest: float
    p: float
    holm: float = math.nan


@dataclass(frozen=True)
class CleanScore:
    """Of one condition, with and without the rows that stand in train too. `error` is over examples, of the clean."""

    leaked: int
    full: float
    clean: float
    error: float


@dataclass(frozen=True)
class CalibratedCondition:
    """Of one condition. `measured` holds means over its seeds, and the bins of the first; `temperature` was fitted on
    the rows of `fitted_on`, and `ece_after` is measured with it."""

    measured: Calibration
    temperature: float
    fitted_on: str
    ece_after: float
    overconfident: int  # seeds
    seeds: int


@dataclass(frozen=True)
class ItemEvidence:
    """Of one task. `scores` and `differences` are by condition; `clusters` counts them, None: examples stand alone."""

    metric: str
    split: str
    n: int
    clusters: int | None
    resamples: int
    baseline: str | None
    scores: Mapping[str, ItemScore]
    differences: Mapping[str, ItemDifference]
    notes: tuple[str, ...]
    slices: Mapping[str, tuple[SliceScore, ...]] = field(default_factory=dict)  # worst first
    clean: Mapping[str, CleanScore] = field(default_factory=dict)
    calibration: Mapping[str, CalibratedCondition] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        for name, difference in self.differences.items():
            if difference.both is not None:
                told = {key: getattr(difference.both, key) for key in ("error", "half", "p")}
                plain["differences"][name]["both"] |= told
        return plain
