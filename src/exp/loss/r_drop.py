"""R-Drop (Liang et al. 2021): two passes with different dropout shall say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from exp.loss.base import require

if TYPE_CHECKING:
    from torch import Tensor

    from exp.loss.base import LossFacts, TrainingLoss
    from exp.task.base import Head


@dataclass(frozen=True)
class RDropLoss:
    """See conf/loss/r_drop.yaml for the keys."""

    alpha: Annotated[float, Ge(0)]

    def build(self, facts: LossFacts) -> TrainingLoss:
        require(facts, "r_drop", "class", "binary", "score")
        return _Twice(facts.head, self.alpha)


@dataclass(frozen=True)
class _Twice:
    head: Head
    alpha: float

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """Both passes in one, of a batch that holds every row twice, as in the authors' code."""
        import torch

        from exp.loss.values import divergence, own

        assert self.head.terms is not None
        doubled = {key: torch.cat([value, value]) for key, value in batch.items()}
        losses = []
        for term in self.head.terms.of(doubled, model(**doubled)):
            first, second = term.logits.chunk(2)
            half = type(term)(
                term.kind, first, term.labels.chunk(2)[0], None if term.real is None else term.real.chunk(2)[0]
            )
            apart = (divergence(half, first, second) + divergence(half, second, first)) / 2
            losses.append(own(term).mean() + self.alpha * apart.mean())
        return sum(losses) / len(losses)  # type: ignore[return-value]
