"""Averages of the weights over the steps of a run (torch.optim.swa_utils): evaluated and saved in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from annotated_types import Ge, Gt, Lt

from exp.errors import ExpError

if TYPE_CHECKING:
    import torch
    from torch import nn


class Averaging(Protocol):
    def build(self, model: nn.Module, total_steps: int, steps_per_epoch: int) -> Average | None:
        """None: the weights as they are. Raises ExpError where it does not fit the model."""
        ...


@dataclass(frozen=True)
class NoAveraging:
    """The weights as they are."""

    def build(self, model: nn.Module, total_steps: int, steps_per_epoch: int) -> Average | None:
        return None


@dataclass(frozen=True)
class EmaAveraging:
    """See conf/averaging/ema.yaml for the keys."""

    decay: Annotated[float, Gt(0), Lt(1)]

    def build(self, model: nn.Module, total_steps: int, steps_per_epoch: int) -> Average | None:
        from torch.optim.swa_utils import get_ema_multi_avg_fn

        return Average(model, "ema", get_ema_multi_avg_fn(self.decay), start=1, every=1)


@dataclass(frozen=True)
class SwaAveraging:
    """See conf/averaging/swa.yaml for the keys."""

    start: Annotated[float, Ge(0), Lt(1)]
    every: Annotated[int, Ge(1)] | None

    def build(self, model: nn.Module, total_steps: int, steps_per_epoch: int) -> Average | None:
        from torch.optim.swa_utils import get_swa_multi_avg_fn

        every = self.every or steps_per_epoch
        first = next((step for step in range(every, total_steps + 1, every) if step >= self.start * total_steps), None)
        if first is None:
            raise ExpError(
                f"averaging.every={every} leaves no step to average: the run has {total_steps}; lower it, e.g. "
                f"averaging.every=1"
            )
        return Average(model, "swa", get_swa_multi_avg_fn(), start=first, every=every)


class Average:
    """The average of a model's trained weights.

    Args:
        model: its trained weights are followed; buffers stay as they are.
        name: of the kind of average, for the record.
        update: torch's: (averages, weights, how many were averaged).
        start, every: optimizer steps, counted from 1.
    """

    def __init__(
        self, model: nn.Module, name: str, update: Callable[[Any, Any, Any], None], start: int, every: int
    ) -> None:
        from torch import nn

        if any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) for module in model.modules()):
            raise ExpError(
                f"averaging={name} averages weights, and batch normalisation would keep the statistics of others; "
                f"set averaging=none"
            )
        self.name, self.update, self.start, self.every = name, update, start, every
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.averages: dict[str, torch.Tensor] = {}
        self.count = 0
        self.installed = False

    def after_step(self, step: int) -> None:
        import torch

        if step < self.start or (step - self.start) % self.every:
            return
        with torch.no_grad():
            if not self.count:
                self.averages = {name: weight.detach().clone() for name, weight in self.weights.items()}
            else:
                current = [weight.detach() for weight in self.weights.values()]
                self.update(list(self.averages.values()), current, self.count)
        self.count += 1

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """The model holds the average inside, once there is one."""
        if not self.count or self.installed:
            yield
            return
        before = {name: weight.detach().clone() for name, weight in self.weights.items()}
        _copy(self.averages, self.weights)
        try:
            yield
        finally:
            _copy(before, self.weights)

    def install(self) -> None:
        """The model keeps the average: what is saved."""
        if self.count:
            _copy(self.averages, self.weights)
        self.installed = True

    def record(self) -> dict[str, Any]:
        """For run.json."""
        which = self.name if self.count else "last"
        return {"kind": self.name, "evaluated": which, "saved": which, "first_step": self.start, "averaged": self.count}

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, for a checkpoint."""
        return {"count": self.count, "averages": self.averages}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]
        self.averages = {name: value.to(self.weights[name].device) for name, value in state["averages"].items()}


class OptimizersAverage:
    """The average that an optimizer keeps itself, behind `train()` and `eval()` as schedulefree has them.

    Training weights stand in the checkpoint's model; the optimizer's state leads from them to the average and back.
    """

    def __init__(self, model: nn.Module, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.kept: Mapping[str, torch.Tensor] | None = None  # of the checkpoint that was put back
        self.installed = False

    def after_step(self, step: int) -> None:
        self.kept = None

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        if self.installed:
            yield
            return
        # Exact copies: going to the average and back would change the last digits of the training weights.
        before = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.optimizer.eval()
        try:
            yield
        finally:
            self.optimizer.train()
            _copy(before, self.weights)

    def install(self) -> None:
        self.optimizer.eval()
        if self.kept is not None:
            _copy(self.kept, self.weights)
        self.installed = True

    def record(self) -> dict[str, Any]:
        return {"kind": "optimizer", "evaluated": "the optimizer's average", "saved": "the optimizer's average"}

    def state(self) -> dict[str, Any]:
        with self.evaluated():
            return {"averages": {name: weight.detach().clone() for name, weight in self.weights.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.kept = {name: value.to(self.weights[name].device) for name, value in state["averages"].items()}


def average_of(
    averaging: Averaging, model: nn.Module, optimizer: Any, total_steps: int, steps_per_epoch: int
) -> Average | OptimizersAverage | None:
    """Raises ExpError where both the optimizer and the group `averaging` average."""
    asked = averaging.build(model, total_steps, steps_per_epoch)
    plain = getattr(optimizer, "optimizer", optimizer)  # Accelerate wraps it
    if not (hasattr(plain, "train") and hasattr(plain, "eval")):
        return asked
    if asked is not None:
        raise ExpError(f"optimizer: {type(plain).__name__} averages the weights itself; set averaging=none")
    return OptimizersAverage(model, plain)


def _copy(values: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> None:
    import torch

    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(values[name])
