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


def model_loss(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    return model(**batch).loss
