"""Optimizers: a class with the YAML's keys, and `build`, which gets the parameter groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.optim.optimizers import OptimizerOption
from exp.optim.ranges import Betas

if TYPE_CHECKING:  # torch takes seconds to import; a mistyped key should not wait for it
    import torch
    from torch import nn


@dataclass(frozen=True)
class Lion(OptimizerOption):
    """The sign of an interpolated momentum, with decoupled weight decay (Chen et al. 2023)."""

    betas: Betas

    def build(self, groups: list[dict[str, Any]], model: nn.Module) -> torch.optim.Optimizer:
        from myproject.lion import LionOptimizer

        return LionOptimizer(groups, lr=self.lr, betas=(self.betas[0], self.betas[1]))
