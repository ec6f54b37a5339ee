"""The layer whose rows are labels: kept where the checkpoint has the data's labels, else drawn anew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from exp.model.drawn import output_layer, redraw
from exp.model.labels import rows_by_name

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from exp.task.base import Head

log = logging.getLogger(__name__)


def fit_output_layer(
    model: PreTrainedModel,
    head: Head,
    absent: set[str],
    old_names: Sequence[str] | None,
    old_count: int,
    old_classes: Sequence[str],
) -> None:
    """Rows by label names, never by order.

    Args:
        model: as it was loaded.
        absent: parameters that the checkpoint lacks or has in another shape; they are drawn already.
        old_names, old_count: the checkpoint's labels.
        old_classes: of the model that it was saved from, where it says so.
    """
    import torch

    name, layer = output_layer(model)
    rows = rows_by_name(old_names, head.labels)
    if f"{name}.weight" in absent:
        log.info("new head: %s drawn at random", ", ".join(sorted(absent)))
    elif rows is not None:
        with torch.no_grad():
            layer.weight.copy_(layer.weight[rows].clone())
            if layer.bias is not None:
                layer.bias.copy_(layer.bias[rows].clone())
        log.info("head kept: the checkpoint's labels are %s", ", ".join(old_names or ()))
    elif head.labels is None and (type(model).__name__ in old_classes if old_classes else old_count == head.outputs):
        log.info("head kept: the checkpoint's outputs are those of this task")
    else:
        redraw(model, {key for key, _ in model.named_parameters() if key.startswith(f"{name}.")})
        log.info(
            "new head: %s drawn at random, because the checkpoint's labels (%s) are not the data's (%s)",
            name,
            ", ".join(old_names) if old_names else "without names",
            ", ".join(head.labels or ("a score",)),
        )
