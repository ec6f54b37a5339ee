"""The contract of a loss: what is minimised, as a mean over the units of a micro-batch.

An option of conf/loss/ has `build`; any other callable is a function of one's own (exp.loss.function). Evaluation
always reports the model's own loss, so that runs with different losses can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from exp.errors import ExpError

if TYPE_CHECKING:
    from torch import Tensor

    from exp.data.features import FeatureSet
    from exp.task.base import Head
    from exp.task.terms import Term

# (model, batch) -> the mean over the batch's units, a scalar to go backward from.
TrainingLoss = Callable[[Any, Mapping[str, "Tensor"]], "Tensor"]


@dataclass(frozen=True)
class LossFacts:
    """What a loss may know of the run before the first step."""

    head: Head
    train: FeatureSet
    processor: Any  # of the model that is trained


class LossOption(Protocol):
    def build(self, facts: LossFacts) -> TrainingLoss:
        """Raises ExpError where the loss makes no sense for the task."""
        ...


@dataclass(frozen=True)
class OverUnits:
    """The mean over units of what `value` gives for each of them."""

    head: Head
    value: Callable[[Term], Tensor]  # [units]

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        assert self.head.terms is not None
        terms = self.head.terms.of(batch, model(**batch))
        return sum(self.value(term).mean() for term in terms) / len(terms)  # type: ignore[return-value]


def require(facts: LossFacts, loss: str, *kinds: str) -> None:
    """Raises ExpError where the task has no logits and labels of one of these kinds (exp.task.terms)."""
    terms = facts.head.terms
    if terms is None:
        raise ExpError(f"loss={loss}: the task {facts.head.pipeline} says no logits and labels a unit; use loss=own")
    if terms.kind not in kinds:
        what = {"score": "predicts numbers", "binary": "has several labels a row", "class": "predicts classes"}
        raise ExpError(
            f"loss={loss} is not defined for a task that {what[terms.kind]} ({facts.head.pipeline}); use loss=own"
        )


def require_classes(facts: LossFacts, loss: str) -> list[str]:
    """Names of the classes. Raises ExpError where a task has none that are the same for every row."""
    require(facts, loss, "class", "binary")
    if facts.head.labels is None:
        raise ExpError(
            f"loss={loss} weighs classes, and the task {facts.head.pipeline} has no fixed ones; use loss=own"
        )
    return list(facts.head.labels)
