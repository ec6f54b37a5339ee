"""GELU by torch's one kernel where transformers writes its tanh form as a formula of eight operations."""

from __future__ import annotations

from torch import nn
from transformers.activations import FastGELUActivation, NewGELUActivation


def fused_gelu(model: nn.Module) -> None:
    """Replaces the tanh form of GELU (Hendrycks and Gimpel 2016, section 2) of GPT-2, T5 v1.1 and their kin.

    The formula keeps each of its results for the backward pass, and rounds each in bf16; the kernel does neither.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) in (NewGELUActivation, FastGELUActivation):
                setattr(module, name, nn.GELU(approximate="tanh"))
