"""Weights of the classes, given or balanced from the training split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Gt, Len

from exp.data.collate import IGNORED
from exp.errors import ExpError
from exp.loss.base import OverUnits, require_classes

if TYPE_CHECKING:
    from torch import Tensor

    from exp.loss.base import LossFacts, TrainingLoss

Weights = Literal["balanced"] | Annotated[list[Annotated[float, Gt(0)]], Len(2)]


@dataclass(frozen=True)
class ClassWeightsLoss:
    """See conf/loss/class_weights.yaml for the keys."""

    weights: Weights

    def build(self, facts: LossFacts) -> TrainingLoss:
        from exp.loss.values import weighed

        return OverUnits(facts.head, partial(weighed, weights=weights_of(self.weights, facts, "class_weights")))


def weights_of(given: Sequence[float] | str, facts: LossFacts, loss: str) -> Tensor:
    """One a class.

    Args:
        given: one a class in the order of the label names; or `balanced`: units / (classes x units of the class), as
            in scikit-learn; for several labels a row, rows without the label / rows with it.
        loss: the option's name, for messages.

    Raises:
        ExpError: Their number is not that of the classes; balanced, and a class is not in the training split.
    """
    import torch

    names = require_classes(facts, loss)
    if not isinstance(given, str):
        if len(given) != len(names):
            raise ExpError(f"loss.weights has {len(given)} values, the data {len(names)} classes: {', '.join(names)}")
        return torch.tensor(given, dtype=torch.float32)
    assert facts.head.terms is not None
    several = facts.head.terms.kind == "binary"
    train = facts.train  # its rows are not asked for: those of pictures would be decoded
    held = train.targets if train.targets is not None else [train.fields["labels"][row] for row in range(len(train))]
    rows = (torch.tensor(labels) for labels in held)  # a copy: the cache is read-only memory
    if several:
        counts = sum(rows, torch.zeros(len(names)))
    else:
        labels = torch.cat([row.reshape(-1).long() for row in rows])
        counts = torch.bincount(labels[labels != IGNORED], minlength=len(names)).float()
    if absent := [name for name, count in zip(names, counts.tolist(), strict=True) if not count]:
        raise ExpError(f"loss.weights=balanced: the training split has no {absent[0]!r}; give the weights yourself")
    return ((len(facts.train) - counts) / counts) if several else counts.sum() / (len(names) * counts)
