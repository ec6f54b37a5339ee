"""The last layer computed for the first token alone, where the classifier reads no other.

BERT and its relatives classify by what stands at the first token after the last layer (Devlin et al. 2019, section
3.2). That needs the last layer's keys and values of all tokens, and its query, output and feed-forward network of one:
a twelfth of BERT-base and a seventh of a model of six layers falls away. Values and gradients are the same; dropout in
the last layer draws fewer numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel

from exp.compat.transformers import attention_of
from exp.speed.dropout import ATTENTION
from exp.speed.packing import KEY

FAMILY = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
HEADS = ("ForSequenceClassification", "ForMultipleChoice")
ATTENTIONS = ("sdpa", ATTENTION)  # those whose masks have the shape (batch, 1, queries, keys)


def first_token_only(model: PreTrainedModel) -> bool:
    """Changes `model` in place; False where its kind or its head reads more than the first token."""
    config = model.config
    encoders = [m for m in model.modules() if isinstance(getattr(m, "layer", None), nn.ModuleList) and len(m.layer)]
    classifies = any(type(module).__name__.endswith(HEADS) for module in model.modules())
    first = getattr(config, "summary_type", "first") == "first"  # of Electra's head for choices
    known = first and config.model_type in FAMILY and attention_of(config) in ATTENTIONS and not config.is_decoder
    if not (known and classifies and len(encoders) == 1):
        return False
    attention = encoders[0].layer[-1].attention
    attention.self.__class__ = type("FirstToken", (_FirstToken, type(attention.self)), {})
    attention.__class__ = type("FirstTokenAttention", (_Residual, type(attention)), {})
    return True


class _FirstToken(nn.Module):
    """In place of the family's SelfAttention, whose parts it uses; they all have the same names."""

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(batch, tokens, width) to (batch, 1, width); of packed rows (1, tokens, width) to (1, rows, width)."""
        own: Any = self
        batch = len(hidden_states)

        def heads(values: torch.Tensor) -> torch.Tensor:
            return values.view(batch, -1, own.num_attention_heads, own.attention_head_size).transpose(1, 2)

        query, key, value = own.query(_first(hidden_states, kwargs)), own.key(hidden_states), own.value(hidden_states)
        attend = AttentionInterface()[attention_of(own.config)]
        found, weights = attend(
            self,
            heads(query),
            heads(key),
            heads(value),
            None if attention_mask is None else attention_mask[..., :1, :],
            dropout=own.dropout.p if self.training else 0.0,
            scaling=own.scaling,
            **{name: given for name, given in kwargs.items() if name != "past_key_values"},
        )
        return found.flatten(2), weights


class _Residual(nn.Module):
    """In place of the family's Attention: adds the first token's own state to what it found."""

    def forward(
        self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        own: Any = self
        kwargs.pop("encoder_hidden_states", None), kwargs.pop("encoder_attention_mask", None)  # a decoder's
        found, weights = own.self(hidden_states, *args, **kwargs)
        return own.output(found, _first(hidden_states, kwargs)), weights


def _first(hidden_states: torch.Tensor, kwargs: Any) -> torch.Tensor:
    layout = kwargs.get(KEY)
    return hidden_states[:, :1] if layout is None else hidden_states[:, layout.firsts]
