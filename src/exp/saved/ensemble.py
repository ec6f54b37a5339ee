"""Several finished runs as one model: the mean of what they say, for every task whose answers come from logits."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from exp.errors import ExpError
from exp.loss.distillation import same_reader
from exp.loss.values import own
from exp.saved import finished
from exp.saved.members import check_members

if TYPE_CHECKING:
    from exp.saved.finished import Finished, Model
    from exp.task.terms import Kind, Terms

LOGITS = ("logits", "start_logits", "end_logits")


def load_ensemble(runs: Sequence[Finished]) -> Model:
    """The first run's task, processor and settings, with a module that asks all models.

    Raises:
        ExpError: a model cannot be loaded, reads other tokens than the first one, or the task answers by generating.
    """
    check_members(runs)
    models = [finished.load_model(run) for run in runs]
    first, head = models[0], finished.head_of(runs[0])
    if head.terms is None or head.generation is not None:
        raise ExpError(f"the task {head.pipeline} generates its answers, which have no mean; give one run")
    for run, model in zip(runs[1:], models[1:], strict=True):
        if not same_reader(model.processor, first.processor):
            raise ExpError(f"{run.folder} reads other tokens than {runs[0].folder}: they cannot share a batch")
    return replace(first, module=Ensemble([model.module for model in models], head.terms))


class Ensemble(nn.Module):
    """Classes: the mean of the members' probabilities; scores: the mean of their numbers."""

    def __init__(self, members: Sequence[nn.Module], terms: Terms) -> None:
        super().__init__()
        self.members, self.terms = nn.ModuleList(members), terms

    def forward(self, **batch: torch.Tensor) -> Any:
        """The first member's output with the ensemble's logits, and the loss of these."""
        outputs = [member(**batch) for member in self.members]
        found = copy.copy(outputs[0])
        for name in LOGITS:
            if getattr(found, name, None) is not None:
                together = _mean([getattr(output, name).float() for output in outputs], self.terms.kind)
                setattr(found, name, together)
        if found.loss is not None:
            found.loss = self._loss(batch, found)
        return found

    def _loss(self, batch: Mapping[str, torch.Tensor], output: Any) -> torch.Tensor:
        terms = self.terms.of(batch, output)
        return torch.stack([own(term).mean() for term in terms]).mean()


def _mean(logits: Sequence[torch.Tensor], kind: Kind) -> torch.Tensor:
    """Logits whose probabilities are the mean of those of `logits`."""
    stacked = torch.stack(list(logits))
    if kind == "score":
        return stacked.mean(0)
    if kind == "binary":
        return torch.logit(stacked.sigmoid().mean(0), eps=1e-7)
    return torch.logsumexp(stacked.log_softmax(-1), 0) - torch.log(torch.tensor(float(len(logits))))
