"""Floating-point operations of training, counted from the model's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class FlopCount:
    """Of one training step, for each token and for each pair of an example's tokens.

    A weight costs 2 a token forward, 2 for the gradient of its input and 2 for its own (Kaplan et al. 2020, section
    2.1). A frozen weight has no gradient of its own, and below the first trained one nothing flows back at all.
    Attention costs 4 a pair of tokens, layer and dimension forward, and twice that back (Chowdhery et al. 2022,
    appendix B). Embeddings are looked up and cost nothing; padding is not counted. A tied output layer costs like
    any other.
    """

    per_token: int
    per_pair: int

    @staticmethod
    def of(model: Any) -> FlopCount:
        looked_up = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
        weights = trained = below = 0
        flows = False
        for parameter in model.parameters():  # in the order of the forward pass, as transformers declares modules
            size = 0 if id(parameter) in looked_up else _size(parameter)
            flows |= parameter.requires_grad
            weights += size
            below += 0 if flows else size
            trained += size if parameter.requires_grad else 0
        output = model.get_output_embeddings()
        if output is not None and id(output.weight) in looked_up:
            weights += output.weight.numel()
            trained += output.weight.numel() if output.weight.requires_grad else 0
        back = weights - below if flows else 0
        config = model.config.get_text_config()
        width = getattr(config, "num_hidden_layers", 0) * getattr(config, "hidden_size", 0)
        share = back / weights if weights else 0.0
        return FlopCount(2 * (weights + back + trained), round(4 * width * (1 + 2 * share)))


def _size(parameter: torch.nn.Parameter) -> int:
    """bitsandbytes packs two weights of 4 bits into one number."""
    return parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)
