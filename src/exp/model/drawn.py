"""Weights that do not come from a checkpoint: which they are, and drawing some anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from exp.compat.transformers import initialise
from exp.errors import ExpError
from exp.task.encoder import encoder_prefix

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


def drawn_parameters(model: nn.Module) -> frozenset[str]:
    """Names of the parameters that were drawn at random; empty when nobody marked any."""
    return getattr(model, "drawn_parameters", frozenset())


def mark_drawn(model: nn.Module, names: Iterable[str]) -> None:
    """Remembered on the model, because an adapter must train what is not pretrained."""
    model.drawn_parameters = drawn_parameters(model) | frozenset(names)


def redraw(model: PreTrainedModel, names: set[str]) -> None:
    """Draws the named parameters from the current torch RNG, by the model's own initialisation."""
    initialise(model, names)
    mark_drawn(model, names)


def output_layer(model: PreTrainedModel) -> tuple[str, nn.Linear]:
    """The linear layer whose rows are the labels: the last one outside the encoder, and its name.

    For tasks whose `Head.drawn` is true.
    """
    from torch import nn

    prefix = model.base_model_prefix + "."
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(prefix)
    ]
    if not found:
        raise ExpError(f"{type(model).__name__} has no linear classification head; take another model")
    return found[-1]


def layers(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """The encoder's list of layers, and its name. Raises ExpError when there is none."""
    from torch import nn

    prefix = encoder_prefix(model)
    for name, module in model.named_modules():
        if name.startswith(prefix) and isinstance(module, nn.ModuleList) and name.split(".")[-1] in {"layer", "layers"}:
            return name, module
    raise ExpError(f"model.reinit_layers: {type(model).__name__} has no list of encoder layers")


def redraw_top(model: PreTrainedModel, count: int) -> set[str]:
    """Draws the pooler and the last `count` layers anew (Zhang et al. 2021); returns the parameters' names.

    Raises ExpError when the model has fewer layers.
    """
    where, stack = layers(model)
    if count > len(stack):
        raise ExpError(f"model.reinit_layers={count}, but the model has {len(stack)} layers")
    tops = tuple(f"{where}.{index}." for index in range(len(stack) - count, len(stack)))
    names = {name for name, _ in model.named_parameters() if name.startswith(tops) or "pooler" in name.split(".")[:-1]}
    redraw(model, names)
    return names
