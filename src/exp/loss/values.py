"""Losses of single units, for terms of every kind (exp.task.terms): each function gives [units]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from exp.task.terms import Term


def own(term: Term) -> Tensor:
    """What the models themselves compute: cross entropy, the mean over labels, the squared error."""
    if term.kind == "class":
        return F.cross_entropy(term.logits, term.labels, reduction="none")
    if term.kind == "binary":
        return F.binary_cross_entropy_with_logits(term.logits, term.labels, reduction="none").mean(-1)
    return F.mse_loss(term.logits, term.labels, reduction="none")


def log_probabilities(term: Term, logits: Tensor | None = None, temperature: float = 1.0) -> Tensor:
    """[units, classes], 0 where a class is padding. `logits`: others for the same units."""
    found = ((term.logits if logits is None else logits) / temperature).log_softmax(-1)
    return found if term.real is None else found.masked_fill(~term.real, 0.0)


def divergence(term: Term, first: Tensor, second: Tensor, temperature: float = 1.0) -> Tensor:
    """From what `first` says to what `second` says: KL divergence, for scores the squared difference.

    Args:
        first, second: logits of the units of `term`.
    """
    if term.kind == "score":
        return F.mse_loss(second, first, reduction="none")
    if term.kind == "binary":  # of each label alone
        one, two = first / temperature, second / temperature
        yes = one.sigmoid() * (F.logsigmoid(one) - F.logsigmoid(two))
        no = (-one).sigmoid() * (F.logsigmoid(-one) - F.logsigmoid(-two))
        return (yes + no).mean(-1)
    said, other = (log_probabilities(term, logits, temperature) for logits in (first, second))
    share = said.exp() if term.real is None else said.exp() * term.real
    return (share * (said - other)).sum(-1)


def smoothed(term: Term, epsilon: float) -> Tensor:
    """Cross entropy with a target of 1 - epsilon, and epsilon spread over all real classes."""
    if term.kind == "binary":
        target = term.labels * (1 - epsilon) + epsilon / 2
        return F.binary_cross_entropy_with_logits(term.logits, target, reduction="none").mean(-1)
    said = log_probabilities(term)
    count = term.logits.shape[-1] if term.real is None else term.real.sum(-1)
    return (1 - epsilon) * own(term) - epsilon * said.sum(-1) / count


def weighed(term: Term, weights: Tensor | None, gamma: float = 0.0) -> Tensor:
    """Cross entropy times the weight of the class and times (1 - p)^gamma (Lin et al. 2017).

    Args:
        weights: one a class; where rows have several labels, of the label when it is there. None: all 1.
    """
    if term.kind == "class":
        loss = own(term)
        if gamma:
            loss = loss * (1 - torch.exp(-loss)).clamp_min(0) ** gamma
        return loss if weights is None else loss * weights.to(loss.device)[term.labels]
    loss = F.binary_cross_entropy_with_logits(term.logits, term.labels, reduction="none")
    if gamma:
        loss = loss * (1 - torch.exp(-loss)).clamp_min(0) ** gamma
    if weights is not None:
        loss = loss * torch.where(term.labels > 0.5, weights.to(loss.device), 1.0)
    return loss.mean(-1)
