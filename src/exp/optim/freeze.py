"""Which weights are trained: all, all but some, or from the top down, a layer at a time."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from annotated_types import Ge, Len

from exp.errors import ExpError, nearest
from exp.optim.groups import depths, named_trainable, plain_model

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger("exp")


class Freeze(Protocol):
    def apply(self, model: nn.Module) -> None:
        """Called once, with the adapter applied. Raises ExpError where it does not fit the model."""
        ...

    def drop_gradients(self, model: nn.Module, step: int, steps_per_epoch: int) -> None:
        """Before clipping, at every optimizer step (counted from 1): a weight without a gradient stays as it is."""
        ...


class _Constant:
    """The same weights are trained at every step."""

    def drop_gradients(self, model: nn.Module, step: int, steps_per_epoch: int) -> None:
        pass


@dataclass(frozen=True)
class NoFreeze(_Constant):
    """All weights that the adapter leaves trainable are trained."""

    def apply(self, model: nn.Module) -> None:
        pass


@dataclass(frozen=True)
class PatternFreeze(_Constant):
    """See conf/freeze/pattern.yaml for the keys."""

    frozen: Annotated[list[str], Len(1)]
    but: list[str]

    def __post_init__(self) -> None:
        for key in ("frozen", "but"):
            for pattern in getattr(self, key):
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise ExpError(f"freeze.{key}: {pattern!r} is no regular expression: {error}") from None

    def apply(self, model: nn.Module) -> None:
        named = _trainable(model)
        for key in ("frozen", "but"):
            for pattern in getattr(self, key):
                if not any(re.search(pattern, name) for name in named):
                    parts = sorted({part for name in named for part in name.split(".") if part.isidentifier()})
                    raise ExpError(f"freeze.{key}: {pattern!r} is in no trained weight's name{nearest(pattern, parts)}")
        for name, parameter in named.items():
            if _any(self.frozen, name) and not _any(self.but, name):
                parameter.requires_grad_(False)


@dataclass(frozen=True)
class LayersFreeze(_Constant):
    """See conf/freeze/layers.yaml for the keys."""

    count: Annotated[int, Ge(0)]

    def apply(self, model: nn.Module) -> None:
        depth, deepest = _depths(model)
        layers = deepest - 2
        if self.count > layers:
            raise ExpError(f"freeze.count={self.count} is more than the {layers} layers of {type(model).__name__}")
        for name, parameter in _trainable(model).items():
            if depth.get(name, deepest) <= self.count:
                parameter.requires_grad_(False)


@dataclass(frozen=True)
class GradualFreeze:
    """See conf/freeze/gradual.yaml for the keys.

    A frozen layer's gradient is computed and dropped, so that checkpoints and processes know no difference.
    """

    steps: Annotated[int, Ge(1)] | None

    def apply(self, model: nn.Module) -> None:
        _, deepest = _depths(model)
        every = "epoch" if self.steps is None else f"{self.steps} steps"
        log.info("freeze: the head learns from the start, one of the %d layers more each %s", deepest - 2, every)

    def drop_gradients(self, model: nn.Module, step: int, steps_per_epoch: int) -> None:
        depth, deepest = _depths(model)
        lowest = deepest - 1 - (step - 1) // (self.steps or steps_per_epoch)
        if lowest <= 0:
            return
        for name, parameter in _trainable(model).items():
            if depth.get(name, deepest) < lowest:
                parameter.grad = None


def _trainable(model: nn.Module) -> dict[str, torch.nn.Parameter]:
    return dict(named_trainable(model))


def _depths(model: nn.Module) -> tuple[dict[str, int], int]:
    """Embeddings are at 0, layers from 1 up, what follows them, and the head at the largest depth."""
    try:
        return depths(plain_model(model))
    except ExpError:
        raise ExpError(
            f"freeze counts layers, and {type(model).__name__} has no numbered ones: take freeze=pattern"
        ) from None


def _any(patterns: list[str], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)
