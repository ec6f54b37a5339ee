"""Label smoothing (Szegedy et al. 2016, section 7): a part of the target is spread over all classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Lt

from exp.loss.base import OverUnits, require

if TYPE_CHECKING:
    from exp.loss.base import LossFacts, TrainingLoss


@dataclass(frozen=True)
class LabelSmoothingLoss:
    """See conf/loss/label_smoothing.yaml for the keys."""

    epsilon: Annotated[float, Ge(0), Lt(1)]

    def build(self, facts: LossFacts) -> TrainingLoss:
        from exp.loss.values import smoothed

        require(facts, "label_smoothing", "class", "binary")
        return OverUnits(facts.head, partial(smoothed, epsilon=self.epsilon))
