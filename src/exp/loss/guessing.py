"""What guessing gives by the loss that is trained: a training curve is judged against it (exp.curves.rules)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from exp.data.features import FeatureSet
    from exp.loss.base import TrainingLoss
    from exp.task.base import Head

log = logging.getLogger(__name__)
ROWS = 128  # of the training split; a teacher reads them too
BATCH = 16


def guessed_loss(
    loss: TrainingLoss,
    head: Head,
    train: FeatureSet,
    collate: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Tensor]],
    units: Callable[[Mapping[str, Tensor]], int],
    own: float | None,
) -> float | None:
    """The mean over units of `loss` for a model whose logits are all zero: every class is as likely.

    Args:
        loss: one with an attribute `guessed` says it by itself: a function of `own`.
        own: what guessing gives by the model's own loss, which the task knows (Floors.loss).

    Returns:
        None where it is unknown: of a task without logits a unit, and of a function that fails on them.
    """
    import torch

    if hasattr(loss, "guessed"):
        return loss.guessed(own)  # type: ignore[no-any-return]
    if own is None or head.terms is None or head.terms.blank is None:
        return None
    blank, classes = head.terms.blank, len(head.labels or ())

    def guess(**batch: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=blank(batch, classes))

    train.begin_epoch(0, 0)
    rows, total, count = _rows(train), 0.0, 0
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for start in range(0, len(rows), BATCH):
                batch = collate([train[row] for row in rows[start : start + BATCH]])
                n = units(batch)
                if n:
                    total, count = total + float(loss(guess, batch)) * n, count + n
    except Exception as error:  # a user's loss may ask for more of an output; the first step tells what it lacks
        log.debug("what guessing gives by the loss is unknown", exc_info=error)
        return None
    return total / count if count else None


def _rows(train: FeatureSet) -> list[int]:
    """Evenly spaced, and ordered by label before, so that each label has its share: weights depend on it."""
    order = np.arange(len(train))
    if train.targets is not None and all(isinstance(label, int) for label in train.targets):
        order = np.argsort(np.asarray(train.targets), kind="stable")
    many = min(ROWS, len(train))
    return [int(order[at * len(train) // many]) for at in range(many)]
