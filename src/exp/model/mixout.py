"""Mixout (Lee et al. 2020): dropout that falls back to the pretrained weight instead of to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from exp.task.encoder import encoder_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class MixoutLinear(nn.Linear):
    """A linear layer that, in training, takes each weight from the pretrained model with probability `mixout`.

    The result is shifted and scaled so that its mean is the current weight (equation 5 of the paper). The pretrained
    weight is a buffer outside the state dict: what is saved is an ordinary linear layer.
    """

    mixout: float
    pretrained: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        # Dropout on the difference is the paper's formula: start + mask * (w - start) / (1 - p).
        moved = nn.functional.dropout(self.weight - self.pretrained, self.mixout, training=True)
        return nn.functional.linear(x, self.pretrained + moved, self.bias)


def add_mixout(model: PreTrainedModel, probability: float, drawn: frozenset[str]) -> int:
    """Turns the encoder's pretrained linear layers into mixout layers; returns their number.

    Layers that were drawn at random have nothing to fall back to and stay as they are. The head is left alone.
    """
    prefix = encoder_prefix(model)
    count = 0
    for name, module in model.named_modules():
        if name.startswith(prefix) and type(module) is nn.Linear and f"{name}.weight" not in drawn:
            # The class is changed in place, so that parameter names and saved files stay the plain model's.
            module.__class__ = MixoutLinear
            module.mixout = probability
            module.register_buffer("pretrained", module.weight.detach().clone(), persistent=False)
            count += 1
    return count
