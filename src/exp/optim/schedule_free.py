"""Schedule-Free AdamW: an average of the weights takes the place of a schedule."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from exp.errors import ExpError
from exp.optim.optimizers import Groups, OptimizerOption
from exp.optim.ranges import Betas, Positive

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class ScheduleFreeOptimizer(OptimizerOption):
    """AdamWScheduleFree (Defazio et al. 2024, arXiv 2405.15682) of the package schedulefree, extra `optimizers`.

    Training is at one point, evaluation at another, the average; `exp.optim.averaging` moves between the two.
    Raises ExpError if schedulefree is not installed.
    """

    betas: Betas
    eps: Positive
    warmup_steps: Annotated[int, Ge(0)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if importlib.util.find_spec("schedulefree") is None:
            raise ExpError("optimizer=schedule_free needs the package schedulefree: pip install 'exp[optimizers]'")

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        from schedulefree import AdamWScheduleFree

        first, second = self.betas
        made = AdamWScheduleFree(
            groups, lr=self.lr, betas=(first, second), eps=self.eps, warmup_steps=self.warmup_steps
        )
        made.train()
        return made
