"""One pass over an evaluation set, the same for both loops and for `exp.evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from exp.distributed.world import ALONE, in_turn, mine

if TYPE_CHECKING:
    from exp.data.encode import TokenDataset
    from exp.distributed.world import World
    from exp.metrics.metric import Scores


@dataclass(frozen=True)
class Evaluation:
    """`logits` has one row an example, in the set's own order; `labels` is None for an unlabelled set."""

    metrics: dict[str, float]
    logits: np.ndarray  # (examples, classes) float32; (examples, 1) in regression
    labels: np.ndarray | None  # (examples,) int64 or float32

    @property
    def predictions(self) -> np.ndarray:
        """Class ids, or the scores themselves in regression."""
        return self.logits[:, 0] if self.logits.shape[1] == 1 else self.logits.argmax(axis=1)


def evaluate(
    model: torch.nn.Module,
    split: TokenDataset,
    collator: Callable[[Sequence[dict[str, Any]]], dict[str, torch.Tensor]],
    batch_size: int,
    metric: Scores,
    device: torch.device,
    world: World = ALONE,
) -> Evaluation:
    """Metrics of the whole set and `loss`, the mean over examples (not over batches: the last one may be short).

    Batches are cut from the set sorted by length, because padding costs time; results come back in the set's order.
    Several processes take the batches in turn, and each gets the whole evaluation.
    The model's mode is put back as it was.
    """
    was_training = model.training
    model.eval()
    order = sorted(range(len(split)), key=lambda i: split.lengths[i])
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    logits: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    losses: list[float] = []  # sums over a batch
    with torch.inference_mode():
        for chosen in mine(world, batches):
            batch = {key: value.to(device) for key, value in collator([split[i] for i in chosen]).items()}
            output = model(**batch)
            logits.append(output.logits.float().cpu().numpy())
            if "labels" in batch:
                labels.append(batch["labels"].cpu().numpy())
                losses.append(output.loss.item() * len(chosen))
    model.train(was_training)

    logits, labels, losses = (in_turn(world, found, len(batches)) for found in (logits, labels, losses))
    back = np.argsort(np.asarray(order))
    scores = np.concatenate(logits)[back]
    if not labels:
        return Evaluation({}, scores, None)
    found = Evaluation({}, scores, np.concatenate(labels)[back])
    metric.add_batch(predictions=found.predictions, references=found.labels)
    return Evaluation({"loss": sum(losses) / len(order), **metric.compute()}, scores, found.labels)
