"""The scheduler options: the learning rate at every optimizer step, as transformers.get_scheduler computes it.

Each is called as `(optimizer, total_steps, greater_is_better)`; only `reduce_on_plateau` reads the last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

_WITHOUT_WARMUP = {
    "constant": "take scheduler=constant_with_warmup",
    "reduce_on_plateau": "it moves at evaluations, not at steps; take scheduler=constant_with_warmup or set both to 0",
}
_DECAYS = ("linear", "cosine", "1-sqrt")  # the shapes that transformers.get_wsd_schedule knows


def check(name: str, options: Mapping[str, Any]) -> None:
    """Impossible options, found from the config alone.

    `name` is the function's name in this module and `options` its YAML keys. Raises ExpError.
    """
    steps, ratio = options["warmup_steps"], options["warmup_ratio"]
    if steps < 0:
        raise ExpError(f"scheduler.warmup_steps={steps} must not be negative; 0 means no warmup")
    if not 0 <= ratio < 1:
        raise ExpError(
            f"scheduler.warmup_ratio={ratio} must be at least 0 and below 1: a share of all optimizer steps"
            " (give a number of steps as scheduler.warmup_steps)"
        )
    if (steps or ratio) and name in _WITHOUT_WARMUP:
        raise ExpError(f"scheduler={name} has no warmup: {_WITHOUT_WARMUP[name]}")
    if "decay_type" in options and options["decay_type"] not in _DECAYS:
        raise ExpError(f"scheduler.decay_type={options['decay_type']!r} is unknown; known: {', '.join(_DECAYS)}")
    if "decay_ratio" in options and not 0 <= options["decay_ratio"] <= 1 - ratio:
        raise ExpError(
            f"scheduler.decay_ratio={options['decay_ratio']} must lie between 0 and what the warmup leaves"
            f" ({1 - ratio:g}): a share of all optimizer steps"
        )
    if "factor" in options and not 0 < options["factor"] < 1:
        raise ExpError(f"scheduler.factor={options['factor']} must lie between 0 and 1: the rate is multiplied by it")


def warmup(total_steps: int, warmup_steps: int, warmup_ratio: float) -> int:
    """Warmup in optimizer steps: `warmup_steps`, or the ratio rounded up, as transformers.TrainingArguments does.

    Raises ExpError when the warmup is longer than the training.
    """
    if warmup_steps > total_steps:
        raise ExpError(
            f"scheduler.warmup_steps={warmup_steps} is more than the {total_steps} optimizer steps of this run;"
            " warm up for fewer, or train longer (num_train_epochs, max_steps)"
        )
    return warmup_steps or math.ceil(total_steps * warmup_ratio)


def linear(
    optimizer: Optimizer, total_steps: int, greater_is_better: bool, *, warmup_steps: int, warmup_ratio: float
) -> LRScheduler:
    """Up over the warmup, then in a straight line down to 0 at the last step."""
    return _make("linear", optimizer, total_steps, warmup_steps, warmup_ratio)


def cosine(
    optimizer: Optimizer,
    total_steps: int,
    greater_is_better: bool,
    *,
    warmup_steps: int,
    warmup_ratio: float,
    num_cycles: float,
) -> LRScheduler:
    """Up over the warmup, then along a cosine; `num_cycles` 0.5 ends at 0 (Loshchilov and Hutter 2017)."""
    return _make("cosine", optimizer, total_steps, warmup_steps, warmup_ratio, num_cycles=num_cycles)


def cosine_with_restarts(
    optimizer: Optimizer,
    total_steps: int,
    greater_is_better: bool,
    *,
    warmup_steps: int,
    warmup_ratio: float,
    num_cycles: int,
) -> LRScheduler:
    """As cosine, falling to 0 `num_cycles` times, with a jump back to the full rate between."""
    return _make("cosine_with_restarts", optimizer, total_steps, warmup_steps, warmup_ratio, num_cycles=num_cycles)


def polynomial(
    optimizer: Optimizer,
    total_steps: int,
    greater_is_better: bool,
    *,
    warmup_steps: int,
    warmup_ratio: float,
    lr_end: float,
    power: float,
) -> LRScheduler:
    """Up over the warmup, then down to `lr_end` with the given power; power 1 is a line.

    Raises ExpError when `lr_end` is not below the optimizer's rate, or no step is left to go down in.
    """
    if warmup(total_steps, warmup_steps, warmup_ratio) == total_steps:
        raise ExpError(
            f"scheduler.warmup_steps={warmup_steps} is the whole run; scheduler=polynomial needs steps after it"
        )
    if lr_end >= optimizer.defaults["lr"]:
        raise ExpError(f"scheduler.lr_end={lr_end} must be below optimizer.lr={optimizer.defaults['lr']}")
    return _make("polynomial", optimizer, total_steps, warmup_steps, warmup_ratio, lr_end=lr_end, power=power)


def constant(
    optimizer: Optimizer, total_steps: int, greater_is_better: bool, *, warmup_steps: int, warmup_ratio: float
) -> LRScheduler:
    """The optimizer's rate at every step."""
    return _make("constant", optimizer, total_steps, warmup_steps, warmup_ratio)


def constant_with_warmup(
    optimizer: Optimizer, total_steps: int, greater_is_better: bool, *, warmup_steps: int, warmup_ratio: float
) -> LRScheduler:
    """Up over the warmup, then the optimizer's rate."""
    return _make("constant_with_warmup", optimizer, total_steps, warmup_steps, warmup_ratio)


def inverse_sqrt(
    optimizer: Optimizer,
    total_steps: int,
    greater_is_better: bool,
    *,
    warmup_steps: int,
    warmup_ratio: float,
    timescale: int | None,
) -> LRScheduler:
    """Up over the warmup, then with the inverse square root of the step (Vaswani et al. 2017).

    `timescale`, in steps, says how slowly; None takes the warmup, or 10,000 without one.
    """
    return _make("inverse_sqrt", optimizer, total_steps, warmup_steps, warmup_ratio, timescale=timescale)


def warmup_stable_decay(
    optimizer: Optimizer,
    total_steps: int,
    greater_is_better: bool,
    *,
    warmup_steps: int,
    warmup_ratio: float,
    decay_ratio: float,
    decay_type: str,
    min_lr_ratio: float,
) -> LRScheduler:
    """Up, level, and down over the last `decay_ratio` of all steps (Hu et al. 2024, MiniCPM).

    Raises ExpError when warmup and decay together are longer than the training.
    """
    up = warmup(total_steps, warmup_steps, warmup_ratio)
    down = math.ceil(total_steps * decay_ratio)
    # Two ratios that fill the run exactly can overshoot it by a step when each is rounded up.
    down = min(down, total_steps - up) if warmup_ratio and not warmup_steps else down
    if up + down > total_steps:
        raise ExpError(
            f"warmup ({up} steps) and decay (scheduler.decay_ratio={decay_ratio}: {down} steps) are together longer"
            f" than the {total_steps} optimizer steps of this run"
        )
    return _make(
        "warmup_stable_decay",
        optimizer,
        total_steps,
        warmup_steps,
        warmup_ratio,
        num_decay_steps=down,
        decay_type=decay_type,
        min_lr_ratio=min_lr_ratio,
    )


def reduce_on_plateau(
    optimizer: Optimizer,
    total_steps: int,
    greater_is_better: bool,
    *,
    warmup_steps: int,
    warmup_ratio: float,
    factor: float,
    patience: int,
    threshold: float,
    min_lr: float,
) -> LRScheduler:
    """The rate times `factor` after more than `patience` evaluations without progress.

    The loop steps it with the metric after every evaluation, not after every optimizer step.
    """
    return _make(
        "reduce_on_plateau",
        optimizer,
        total_steps,
        warmup_steps,
        warmup_ratio,
        mode="max" if greater_is_better else "min",
        factor=factor,
        patience=patience,
        threshold=threshold,
        min_lr=min_lr,
    )


def _make(
    name: str, optimizer: Optimizer, total_steps: int, warmup_steps: int, warmup_ratio: float, **options: Any
) -> LRScheduler:
    from transformers.optimization import get_scheduler

    check(name, {"warmup_steps": warmup_steps, "warmup_ratio": warmup_ratio})
    return get_scheduler(
        "reduce_lr_on_plateau" if name == "reduce_on_plateau" else name,
        optimizer,
        num_warmup_steps=warmup(total_steps, warmup_steps, warmup_ratio),
        num_training_steps=total_steps,
        scheduler_specific_kwargs=options,
    )
