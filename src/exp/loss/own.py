"""The loss that the model computes itself: cross entropy, or squared error for scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from exp.loss.base import LossFacts, TrainingLoss


@dataclass(frozen=True)
class OwnLoss:
    """What `model(**batch).loss` is."""

    def build(self, facts: LossFacts) -> TrainingLoss:
        return model_loss


class ModelLoss:
    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        loss: Tensor = model(**batch).loss
        return loss

    def guessed(self, own: float | None) -> float | None:
        """See exp.loss.guessing."""
        return own


model_loss = ModelLoss()
