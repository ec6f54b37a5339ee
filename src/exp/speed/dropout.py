"""Dropout whose masks are cut from one pool of random bits, at a random place each.

On a CPU torch draws a mask with a sequential generator, which takes a fifth of a bf16 training step of a small
encoder. A cut from a pool costs a read. Two masks share bits when their places overlap; with a pool of four million
and masks of a few hundred thousand that leaves each place, batch and layer a mask of its own in effect. Larger ones are
made of pieces, each with a place. Measured in benchmarks/RESULTS.md: the dev metric stays within the noise of the seed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from exp.compat.transformers import attention_of

POOL = 2**22  # elements; 8 MB in bf16, 16 MB in fp32
PIECE = POOL // 4  # elements that one place in the pool serves
FEW_SCORES = 2**23  # elements; a layer keeps 16 MB of them for its backward pass
ATTENTION = "exp_pooled"


class Pool:
    """Random numbers in [0, 1), and for each rate and dtype the masks made of them."""

    def __init__(self, seed: int) -> None:
        self.uniform = torch.rand(POOL, generator=torch.Generator().manual_seed(seed))
        self.masks: dict[tuple[float, torch.dtype], torch.Tensor] = {}

    def drop(self, values: torch.Tensor, rate: float) -> torch.Tensor:
        """0 with probability `rate`, else `values` / (1 - rate). A large tensor is cut into pieces, each with a place.

        The places are drawn from torch's global generator, which checkpoints hold.
        """
        key = (rate, values.dtype)
        if key not in self.masks:
            self.masks[key] = (self.uniform >= rate).to(values.dtype) / (1 - rate)
        masks, size = self.masks[key], values.numel()
        if size > PIECE:
            return _Dropped.apply(values, masks, torch.randint(POOL - PIECE + 1, (-(-size // PIECE),)).tolist())
        place = int(torch.randint(POOL - size + 1, ()))
        return values * masks[place : place + size].view(values.shape)


class _Dropped(torch.autograd.Function):
    """Keeps neither the mask nor the values for the backward pass: the places say all."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, masks: torch.Tensor, places: list[int]) -> torch.Tensor:
        ctx.masks, ctx.places = masks, places
        return _masked(values, masks, places)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return _masked(gradient, ctx.masks, ctx.places), None, None


def _masked(values: torch.Tensor, masks: torch.Tensor, places: list[int]) -> torch.Tensor:
    values = values.contiguous()
    masked = torch.empty_like(values)
    for piece, out, place in zip(values.view(-1).split(PIECE), masked.view(-1).split(PIECE), places, strict=True):
        torch.mul(piece, masks[place : place + len(piece)], out=out)
    return masked


class PooledDropout(nn.Module):
    def __init__(self, rate: float, pool: Pool) -> None:
        super().__init__()
        self.p = rate
        self.pool = pool

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.pool.drop(values, self.p) if self.training and self.p > 0 else values


def pool_dropout(model: PreTrainedModel, seed: int) -> None:
    """Replaces every nn.Dropout of `model`, and dropout inside attention where it runs by torch's SDPA."""
    pool = Pool(seed)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, PooledDropout(child.p, pool))
    if attention_of(model.config) == "sdpa":
        AttentionInterface.register(ATTENTION, _attention_with(pool))
        AttentionMaskInterface.register(ATTENTION, AttentionMaskInterface()["sdpa"])
        model.set_attn_implementation(ATTENTION)


def _attention_with(pool: Pool) -> Any:
    sdpa = AttentionInterface()["sdpa"]

    def attention(
        module: nn.Module,
        query: torch.Tensor,  # batch, heads, tokens, width
        key: torch.Tensor,  # of fewer heads in some families: each serves a group of the query's
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        is_causal: bool | None = None,
        position_bias: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As transformers' sdpa_attention_forward, but for where the mask comes from; evaluation goes there."""
        if dropout == 0.0 and not _fused_lags(query, key):
            given = {"is_causal": is_causal, "position_bias": position_bias, **kwargs}
            return sdpa(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **given)
        groups = query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        # The query is scaled, which is smaller than the scores.
        scores = query * (query.shape[-1] ** -0.5 if scaling is None else scaling) @ key.transpose(-1, -2)
        if position_bias is not None:
            scores = scores + position_bias
        causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
        if attention_mask is None and causal and query.shape[2] > 1:
            attention_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if attention_mask is not None:
            scores = scores + _added(attention_mask, scores.dtype)
        weights = scores.softmax(-1)
        if dropout > 0.0:
            weights = pool.drop(weights, dropout)
        return (weights @ value).transpose(1, 2).contiguous(), None

    return attention


def _fused_lags(query: torch.Tensor, key: torch.Tensor) -> bool:
    """Whether plain products train faster than torch's fused attention: its backward pass in bf16 on a CPU takes 3 to
    20 times as long. It keeps no scores, so many are left to it."""
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    bf16 = query.dtype == torch.bfloat16 or autocast
    return torch.is_grad_enabled() and bf16 and query[..., 0].numel() * key.shape[2] <= FEW_SCORES


def _added(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to scores: `mask` is True where a token may look, or numbers to add."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
