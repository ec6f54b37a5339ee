"""The scheduler options: the learning rate at every optimizer step, as transformers.get_scheduler computes it.

A loop calls one as `(optimizer, total_steps, greater_is_better)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from exp.errors import ExpError
from exp.optim.ranges import Fraction, NotNegative, Positive, Share

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class SchedulerOption:
    """What every scheduler option has: the warmup.

    Args of the YAML:
        warmup_steps: Optimizer steps; above 0 they overrule `warmup_ratio`.
        warmup_ratio: Share of all optimizer steps, rounded up.
    """

    name: ClassVar[str]  # transformers.SchedulerType
    warmup_steps: Annotated[int, Ge(0)]
    warmup_ratio: Share

    def __call__(self, optimizer: Optimizer, total_steps: int, greater_is_better: bool) -> LRScheduler:
        """Args:
            optimizer: Its rates are the highest that a step gets.
            total_steps: Optimizer steps of the whole run.
            greater_is_better: Direction of the metric; read by reduce_on_plateau alone.

        Raises:
            ExpError: The warmup, or what follows it, does not fit into the run.
        """
        from transformers.optimization import get_scheduler

        self.check_length(total_steps)
        return get_scheduler(
            self.name,
            optimizer,
            num_warmup_steps=self.warmup(total_steps),
            num_training_steps=total_steps,
            scheduler_specific_kwargs=self.specific(total_steps, greater_is_better),
        )

    def specific(self, total_steps: int, greater_is_better: bool) -> dict[str, Any]:
        """This kind's own arguments of transformers' function."""
        return {}

    def warmup(self, total_steps: int) -> int:
        """Optimizer steps: `warmup_steps`, or the ratio rounded up, as transformers.TrainingArguments does."""
        return self.warmup_steps or math.ceil(total_steps * self.warmup_ratio)

    def check_length(self, total_steps: int) -> None:
        """Raises ExpError when a run of `total_steps` is too short; a shorter one then is too."""
        if self.warmup_steps > total_steps:
            raise ExpError(
                f"scheduler.warmup_steps={self.warmup_steps} is more than the {total_steps} optimizer steps of this "
                "run; warm up for fewer, or train longer (num_train_epochs, max_steps)"
            )

    def _refuse_warmup(self, option: str, mend: str) -> None:
        if self.warmup_steps or self.warmup_ratio:
            given = "warmup_steps" if self.warmup_steps else "warmup_ratio"
            raise ExpError(f"scheduler.{given}={getattr(self, given)}: scheduler={option} has no warmup: {mend}")


@dataclass(frozen=True)
class LinearScheduler(SchedulerOption):
    """Up over the warmup, then in a straight line down to 0 at the last step."""

    name = "linear"


@dataclass(frozen=True)
class CosineScheduler(SchedulerOption):
    """Up over the warmup, then along a cosine; `num_cycles` 0.5 ends at 0 (Loshchilov and Hutter 2017)."""

    name = "cosine"
    num_cycles: Positive

    def specific(self, total_steps: int, greater_is_better: bool) -> dict[str, Any]:
        return {"num_cycles": self.num_cycles}


@dataclass(frozen=True)
class CosineWithRestartsScheduler(SchedulerOption):
    """As cosine, falling to 0 `num_cycles` times, with a jump back to the full rate between."""

    name = "cosine_with_restarts"
    num_cycles: Annotated[int, Ge(1)]

    def specific(self, total_steps: int, greater_is_better: bool) -> dict[str, Any]:
        return {"num_cycles": self.num_cycles}


@dataclass(frozen=True)
class PolynomialScheduler(SchedulerOption):
    """Up over the warmup, then down to `lr_end` with the given power; power 1 is a line."""

    name = "polynomial"
    lr_end: NotNegative
    power: Positive

    def __call__(self, optimizer: Optimizer, total_steps: int, greater_is_better: bool) -> LRScheduler:
        """Raises ExpError when `lr_end` is not below the optimizer's rate too."""
        self.check_rate(optimizer.defaults["lr"])
        return super().__call__(optimizer, total_steps, greater_is_better)

    def specific(self, total_steps: int, greater_is_better: bool) -> dict[str, Any]:
        return {"lr_end": self.lr_end, "power": self.power}

    def check_length(self, total_steps: int) -> None:
        super().check_length(total_steps)
        if self.warmup_steps == total_steps:
            raise ExpError(
                f"scheduler.warmup_steps={self.warmup_steps} is the whole run; polynomial needs steps after it"
            )

    def check_rate(self, lr: float) -> None:
        """Raises ExpError when the schedule would end above the optimizer's rate."""
        if self.lr_end >= lr:
            raise ExpError(f"scheduler.lr_end={self.lr_end} must be below optimizer.lr={lr}")


@dataclass(frozen=True)
class ConstantScheduler(SchedulerOption):
    """The optimizer's rate at every step."""

    name = "constant"

    def __post_init__(self) -> None:
        self._refuse_warmup("constant", "take scheduler=constant_with_warmup")


@dataclass(frozen=True)
class ConstantWithWarmupScheduler(SchedulerOption):
    """Up over the warmup, then the optimizer's rate."""

    name = "constant_with_warmup"


@dataclass(frozen=True)
class InverseSqrtScheduler(SchedulerOption):
    """Up over the warmup, then with the inverse square root of the step (Vaswani et al. 2017).

    `timescale`, in steps, says how slowly; None takes the warmup, or 10,000 without one.
    """

    name = "inverse_sqrt"
    timescale: Annotated[int, Ge(1)] | None

    def specific(self, total_steps: int, greater_is_better: bool) -> dict[str, Any]:
        return {"timescale": self.timescale}


@dataclass(frozen=True)
class WarmupStableDecayScheduler(SchedulerOption):
    """Up, level, and down over the last `decay_ratio` of all steps (Hu et al. 2024, MiniCPM)."""

    name = "warmup_stable_decay"
    decay_ratio: Fraction
    decay_type: Literal["linear", "cosine", "1-sqrt"]  # the shapes that transformers.get_wsd_schedule knows
    min_lr_ratio: Fraction

    def __post_init__(self) -> None:
        left = 1 - (0 if self.warmup_steps else self.warmup_ratio)
        if self.decay_ratio > left:
            raise ExpError(
                f"scheduler.decay_ratio={self.decay_ratio} must be at most {left:g}, which the warmup leaves: "
                "a share of all optimizer steps"
            )

    def specific(self, total_steps: int, greater_is_better: bool) -> dict[str, Any]:
        return {
            "num_decay_steps": self._decay(total_steps),
            "decay_type": self.decay_type,
            "min_lr_ratio": self.min_lr_ratio,
        }

    def check_length(self, total_steps: int) -> None:
        super().check_length(total_steps)
        up, down = self.warmup(total_steps), self._decay(total_steps)
        if up + down > total_steps:
            raise ExpError(
                f"warmup ({up} steps) and decay (scheduler.decay_ratio={self.decay_ratio}: {down} steps) are together "
                f"longer than the {total_steps} optimizer steps of this run"
            )

    def _decay(self, total_steps: int) -> int:
        down = math.ceil(total_steps * self.decay_ratio)
        if self.warmup_steps:
            return down
        # Two ratios that fill the run exactly can overshoot it by a step when each is rounded up.
        return min(down, total_steps - self.warmup(total_steps))


@dataclass(frozen=True)
class ReduceOnPlateauScheduler(SchedulerOption):
    """The rate times `factor` after more than `patience` evaluations without progress.

    The loop steps it with the metric after every evaluation, not after every optimizer step.
    """

    name = "reduce_lr_on_plateau"
    factor: Annotated[float, Gt(0), Lt(1)]
    patience: Annotated[int, Ge(0)]
    threshold: NotNegative
    min_lr: NotNegative

    def __post_init__(self) -> None:
        self._refuse_warmup(
            "reduce_on_plateau",
            "it moves at evaluations, not at steps; take scheduler=constant_with_warmup or set both to 0",
        )

    def specific(self, total_steps: int, greater_is_better: bool) -> dict[str, Any]:
        return {
            "mode": "max" if greater_is_better else "min",
            "factor": self.factor,
            "patience": self.patience,
            "threshold": self.threshold,
            "min_lr": self.min_lr,
        }
