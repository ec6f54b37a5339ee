"""Focal loss (Lin et al. 2017): units that the model is sure of count less."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from exp.loss.base import OverUnits, require
from exp.loss.class_weights import Weights, weights_of

if TYPE_CHECKING:
    from exp.loss.base import LossFacts, TrainingLoss


@dataclass(frozen=True)
class FocalLoss:
    """See conf/loss/focal.yaml for the keys."""

    gamma: Annotated[float, Ge(0)]
    weights: Weights | None

    def build(self, facts: LossFacts) -> TrainingLoss:
        from exp.loss.values import weighed

        require(facts, "focal", "class", "binary")
        weights = None if self.weights is None else weights_of(self.weights, facts, "focal")
        return OverUnits(facts.head, partial(weighed, weights=weights, gamma=self.gamma))
