"""Gradient norm and clipping, without passes over the gradients that change nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

if TYPE_CHECKING:
    from accelerate import Accelerator


def clip(accelerator: Accelerator, model: torch.nn.Module, max_norm: float, wanted: bool) -> torch.Tensor | float:
    """The norm before clipping; NaN where nobody asked: `max_norm` is 0 and the norm is not `wanted` for the log.

    torch's clip_grad_norm_ multiplies all gradients by 1 when they are short enough. On a CPU that is seen for
    nothing and left out; elsewhere reading the norm would wait for the device.
    """
    if max_norm == 0 and not wanted:
        return math.nan
    if accelerator.scaler is not None or accelerator.is_fsdp2:  # unscaling and sharding are Accelerate's
        return accelerator.clip_grad_norm_(model.parameters(), max_norm or math.inf)
    trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = get_total_norm([parameter.grad for parameter in trained if parameter.grad is not None])
    if max_norm and not (norm.device.type == "cpu" and norm.item() + 1e-6 <= max_norm):
        clip_grads_with_norm_(trained, max_norm, norm)
    return norm
