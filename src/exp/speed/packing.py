"""A batch's rows laid end to end: what a model does token by token, it does for real tokens alone.

The model is given the padded batch and gives padded output, so that heads, losses and readers see nothing of it.
Inside, the tokens stand in one row, each at the position that it has in its own; attention is block-diagonal. There
each row is put back to its place among the others, because torch computes small blocks of equal size faster than one
large matrix of blocks. Values and gradients are the padded ones, but for how dropout draws.

As in ModernBERT (Warner et al. 2024, section 2.1.2), for every family whose attention transformers lets one replace.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel, masking_utils

from exp.compat.transformers import attention_of
from exp.errors import ExpError

PACKED = "exp_packed"
KEY = "exp_layout"  # the argument that carries a batch's layout from the model down to its attention
# Their layers hand unknown arguments to attention, and tell positions by `position_ids`.
DECODERS = ("gpt2", "llama", "mistral", "qwen2", "qwen3")
FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "modernbert", *DECODERS)
PADDED_TOO = ("past_key_values", "inputs_embeds", "encoder_hidden_states", "output_attentions", "output_hidden_states")


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a padded batch stand when its rows are laid end to end."""

    rows: int
    length: int  # of the longest row
    mask: torch.Tensor  # [rows, length], True for a token that may be looked at
    index: torch.Tensor  # [tokens], places in the flattened padded batch, ascending
    firsts: torch.Tensor  # [rows], places of each row's first token among the tokens

    @classmethod
    def of(cls, attention_mask: torch.Tensor) -> Layout:
        """The first place of each row is kept, be it padding: classifiers read it. So no row is empty either, such as
        a choice that a question does not have."""
        mask = attention_mask.bool()
        kept = mask.clone()
        kept[:, 0] = True
        ends = kept.sum(1).cumsum(0)
        firsts = torch.cat([ends.new_zeros(1), ends[:-1]])
        rows, length = mask.shape
        return cls(rows, length, mask, kept.flatten().nonzero().squeeze(1), firsts)

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """[rows, length, ...] to [1, tokens, ...]."""
        return _Pack.apply(padded.flatten(0, 1), self.index)[None]  # type: ignore[no-untyped-call, no-any-return]

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[1, tokens, ...] to [rows, length, ...], zero where padding is."""
        flat = _Unpack.apply(packed[0], self.index, self.rows * self.length)  # type: ignore[no-untyped-call]
        return flat.unflatten(0, (self.rows, self.length))  # type: ignore[no-any-return]


class _Pack(torch.autograd.Function):
    """Each place is taken once, so the gradient is a copy; that of torch's indexing is a sum, which is slower."""

    @staticmethod
    def forward(ctx: Any, flat: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(index)
        ctx.size = len(flat)
        return flat.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        (index,) = ctx.saved_tensors
        return grad.new_zeros(ctx.size, *grad.shape[1:]).index_copy_(0, index, grad), None


class _Unpack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(index)
        return tokens.new_zeros(size, *tokens.shape[1:]).index_copy_(0, index, tokens)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # type: ignore[override]
        (index,) = ctx.saved_tensors
        return grad.index_select(0, index), None, None


def pack_rows(model: PreTrainedModel) -> None:
    """Changes `model` in place, adapter or not.

    Raises:
        ExpError: A family that cannot, in one line.
    """
    bases = [one for one in model.modules() if isinstance(one, PreTrainedModel) and one.base_model is one]
    kinds = sorted({base.config.model_type for base in bases})
    attention = attention_of(bases[0].config) if bases else None
    if len(bases) != 1 or kinds[0] not in FAMILIES or bases[0].config.is_encoder_decoder or attention == "eager":
        what = f"a {' and '.join(kinds)}" if kinds else f"a {type(model).__name__}"
        raise ExpError(
            f"batching=packed: {what} cannot read rows end to end; families that can: {', '.join(FAMILIES)}. Take "
            f"batching=length_grouped, which pads little"
        )
    (base,) = bases
    assert attention is not None
    name = f"{PACKED}_{attention}"
    AttentionInterface.register(name, _block_diagonal(AttentionInterface()[attention]))
    AttentionMaskInterface.register(name, AttentionMaskInterface()[attention])
    model.set_attn_implementation(name)
    base.set_attn_implementation(name)
    plain = base.forward

    @functools.wraps(plain)
    def forward(*arguments: Any, **batch: Any) -> Any:
        if arguments:
            batch = {**dict(zip(("input_ids", "attention_mask"), arguments, strict=False)), **batch}
        if not _has_padding(batch):
            return plain(**batch)
        layout = Layout.of(batch["attention_mask"])
        output = plain(**_packed(base, batch, layout))
        states = output.last_hidden_state
        # speed.first_token_only leaves one token a row, else there are all.
        whole = len(layout.index) == states.shape[1]
        output.last_hidden_state = layout.unpack(states) if whole else states.transpose(0, 1)
        if getattr(base, "pooler", None) is not None:
            output.pooler_output = base.pooler(output.last_hidden_state)  # of every row's first token
        return output

    base.forward = forward  # type: ignore[method-assign]


def _has_padding(batch: Mapping[str, Any]) -> bool:
    """Whether there is padding that can be left out: generation's cache is padded, so there it stays."""
    mask = batch.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.dim() != 2 or batch.get("input_ids") is None:
        return False
    asks_for_more = batch.get("use_cache") or any(batch.get(name) not in (None, False) for name in PADDED_TOO)
    return not asks_for_more and not bool(mask.all())


def _packed(base: Any, batch: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    ids = batch["input_ids"]
    positions = batch.get("position_ids")
    if positions is None:
        positions = _positions(base, ids)
    found = {**batch, "position_ids": positions.expand_as(ids), KEY: layout}
    for name in ("input_ids", "position_ids", "token_type_ids"):
        if found.get(name) is not None:
            found[name] = layout.pack(found[name])
    found["attention_mask"] = _masks(base.config, layout)
    if _is_causal(base.config):  # else decoders keep what nobody will read
        found["use_cache"] = False
    return found


def _is_causal(config: Any) -> bool:
    return config.model_type in DECODERS or getattr(config, "is_decoder", False)


def _masks(config: Any, layout: Layout) -> Any:
    """Of the padded batch, ready made, as the family makes them itself: one, or one for each kind of layer."""
    mask = layout.mask
    asked = {"config": config, "attention_mask": mask}
    asked["inputs_embeds"] = torch.empty(layout.rows, layout.length, 0, device=mask.device)  # only its shape is read
    if _is_causal(config):
        return masking_utils.create_masks_for_generate(**asked, past_key_values=None)
    full = masking_utils.create_bidirectional_mask(**asked)
    if config.model_type != "modernbert":
        return full
    return {
        "full_attention": full,
        "sliding_attention": masking_utils.create_bidirectional_sliding_window_mask(**asked),
    }


def _positions(base: Any, ids: torch.Tensor) -> torch.Tensor:
    """As the family itself counts them in the padded batch."""
    embeddings: Any = getattr(base, "embeddings", None)
    if hasattr(embeddings, "create_position_ids_from_input_ids"):  # RoBERTa's begin after the padding token's
        return embeddings.create_position_ids_from_input_ids(ids, embeddings.padding_idx)
    return torch.arange(ids.shape[1], device=ids.device)[None]


def _block_diagonal(inner: Any) -> Any:
    def attention(
        module: nn.Module,
        query: torch.Tensor,  # 1, heads, tokens, width
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        layout: Layout | None = kwargs.pop(KEY, None)
        if layout is None:
            return inner(module, query, key, value, attention_mask, **kwargs)

        def apart(states: torch.Tensor) -> torch.Tensor:
            """rows, heads, length, width."""
            return layout.unpack(states.transpose(1, 2)).transpose(1, 2)

        if query.shape[2] == len(layout.index):
            found, weights = inner(module, apart(query), apart(key), apart(value), attention_mask, **kwargs)
            return layout.pack(found), weights
        # One query a row, by speed.first_token_only.
        one = query.permute(2, 1, 0, 3)
        found, weights = inner(module, one, apart(key), apart(value), attention_mask, **kwargs)
        return found.transpose(0, 1), weights

    return attention
