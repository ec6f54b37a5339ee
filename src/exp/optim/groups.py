"""Which weights decay, and which learn more slowly: the parameter groups of every optimizer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError, nearest
from exp.task.encoder import encoder_prefix

if TYPE_CHECKING:
    import torch
    from torch import nn

# transformers.Trainer.get_decay_parameter_names, matched on the lower-case name.
_NO_DECAY = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")
_LAYER = re.compile(r"(?:^|\.)(?:layer|layers)\.(\d+)\.")


def plain_model(model: nn.Module) -> nn.Module:
    """The model under a peft wrapper: its parameter names start with the encoder's own prefix."""
    unwrap = getattr(model, "get_base_model", None)
    return unwrap() if unwrap is not None else model


def named_trainable(model: nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Trainable parameters under the names that the plain model gives them, then those beside it (virtual tokens)."""
    inside = list(plain_model(model).named_parameters())
    known = {id(p) for _, p in inside}
    beside = [(name, p) for name, p in model.named_parameters() if id(p) not in known]
    return ((name, p) for name, p in (*inside, *beside) if p.requires_grad)


def decays(model: nn.Module) -> set[str]:
    """Names of the parameters that weight decay applies to: all but biases and norms."""
    from torch import nn

    norms = {
        id(p)
        for module in model.modules()
        if isinstance(module, nn.LayerNorm | nn.RMSNorm)
        for p in module.parameters()
    }
    return {name for name, p in model.named_parameters() if id(p) not in norms and not _NO_DECAY.search(name.lower())}


def depths(model: nn.Module) -> tuple[dict[str, int], int]:
    """Depth of every parameter, and the largest depth: ELECTRA's rule (configure_finetuning.py, optimization.py).

    Embeddings are at 0, layer i (from 0) at i + 1, what comes after the last layer inside the encoder (a pooler, a
    final norm) at n + 1, and everything outside the encoder (the task's head) at n + 2.

    Raises ExpError for a model without numbered layers.
    """
    prefix = encoder_prefix(model)
    names = [name for name, _ in model.named_parameters()]
    found = [int(m.group(1)) for name in names if name.startswith(prefix) and (m := _LAYER.search(name))]
    if not found:
        raise ExpError(
            f"optimizer.layer_decay needs an encoder with numbered layers; {type(model).__name__} has none."
            " Set optimizer.layer_decay=1.0"
        )
    layers = max(found) + 1
    depth = {}
    for name in names:
        layer = _LAYER.search(name)
        if not name.startswith(prefix):
            depth[name] = layers + 2
        elif layer:
            depth[name] = int(layer.group(1)) + 1
        # DeBERTa keeps its relative position table, and that table's norm, directly in the encoder.
        elif "embeddings" in name or name.startswith(prefix + "encoder.LayerNorm"):
            depth[name] = 0
        else:
            depth[name] = layers + 1
    return depth, layers + 2


def parameter_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay: float,
    own: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer, the highest rate first, so that group 0 shows the rate that `lr` names.

    A parameter at depth d learns with `lr * layer_decay ** (deepest - d)`. With `layer_decay` 1 these are the two
    groups of transformers.Trainer: with weight decay, then without.

    Args:
        own: `optimizer.groups`: `pattern`, `lr` and `weight_decay` (as an optimizer option checks them). They come
            behind the others, in their order; a group's `lr` is the rate of all its layers, its `weight_decay` that
            of all its parameters.

    Raises:
        ExpError: Nothing is trainable, or a pattern is found in no trainable parameter's name.
    """
    plain = plain_model(model)
    decaying = decays(plain) | decays(model)
    depth, deepest = ({}, 0) if layer_decay == 1.0 else depths(plain)
    groups: dict[tuple[int, int, bool], dict[str, Any]] = {}
    found: set[int] = set()
    for name, parameter in named_trainable(model):
        number = next((i for i, one in enumerate(own) if re.search(one["pattern"], name)), -1)
        given = own[number] if number >= 0 else {}
        found.add(number)
        below_top = 0 if "lr" in given else deepest - depth.get(name, deepest)
        decay = given.get("weight_decay", weight_decay if name in decaying else 0.0)
        key = (number, below_top, name not in decaying)
        if key not in groups:
            rate = given.get("lr", lr * layer_decay**below_top)
            groups[key] = {"params": [], "lr": rate, "weight_decay": decay}
        groups[key]["params"].append(parameter)
    if not groups:
        raise ExpError("the model has no trainable parameter: nothing to optimize")
    for number, one in enumerate(own):
        if number not in found:
            names = sorted(
                {part for name, _ in named_trainable(model) for part in name.split(".") if part.isidentifier()}
            )
            raise ExpError(
                f"optimizer.groups: pattern={one['pattern']!r} is in no trainable parameter's name, or an earlier one "
                f"has them all{nearest(one['pattern'], names)}"
            )
    return [groups[key] for key in sorted(groups)]
