"""Decay towards the weights that training started from (L2-SP, Li et al. 2018, in decoupled form)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.optim.groups import named_trainable, plain_model
from exp.task.encoder import encoder_prefix

if TYPE_CHECKING:
    import torch
    from torch import nn


def decay_towards_start(optimizer: torch.optim.Optimizer, model: nn.Module, strength: float) -> None:
    """Before each step: `w -= lr * strength * (w - w_start)`, for the encoder's weights, each with its group's rate.

    The head starts at random, so it is left alone (its own decay is `weight_decay`, as in L2-SP). The start is read
    now: call this before a checkpoint is loaded into the model.

    Raises ExpError under an adapter.
    """
    if plain_model(model) is not model:
        raise ExpError(
            "optimizer.decay_to_init pulls trained weights to their start, and an adapter keeps those frozen;"
            " take adapter=none or optimizer.decay_to_init=0.0"
        )
    prefix = encoder_prefix(model)
    start = {p: p.detach().clone() for name, p in named_trainable(model) if name.startswith(prefix)}

    def pull(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        import torch

        with torch.no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is None or p not in start:
                        continue
                    if start[p].device != p.device:  # the model was moved after the optimizer was made
                        start[p] = start[p].to(p.device)
                    p.lerp_(start[p], group["lr"] * strength)

    optimizer.register_step_pre_hook(pull)
