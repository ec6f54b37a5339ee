"""What an adapter has learned beside its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exp.compat.peft import IMPORTANCES, rank_allocator

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def extra_state(model: PreTrainedModel) -> dict[str, Any]:
    """For a checkpoint: AdaLoRA's importances and ranks; empty for every other adapter."""
    allocator = rank_allocator(model)
    if allocator is None:
        return {}
    kept = {name: getattr(allocator, name) for name in IMPORTANCES}
    return {**kept, "rank_pattern": allocator.peft_config.rank_pattern}


def restore_extra_state(model: PreTrainedModel, state: dict[str, Any]) -> None:
    """`state` as extra_state gave it."""
    allocator = rank_allocator(model)
    if allocator is None or not state:
        return
    for name in IMPORTANCES:
        setattr(allocator, name, state[name])
    allocator.peft_config.rank_pattern = state["rank_pattern"]
