"""What an adapter has learned beside its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

IMPORTANCES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # peft's names: running means of AdaLoRA's section 3.2


def extra_state(model: PreTrainedModel) -> dict[str, Any]:
    """For a checkpoint: AdaLoRA's importances and ranks; empty for every other adapter."""
    allocator = getattr(model.base_model, "rankallocator", None)
    if allocator is None:
        return {}
    kept = {name: getattr(allocator, name) for name in IMPORTANCES}
    return {**kept, "rank_pattern": allocator.peft_config.rank_pattern}


def restore_extra_state(model: PreTrainedModel, state: dict[str, Any]) -> None:
    """`state` as extra_state gave it."""
    for name in IMPORTANCES if state else ():
        setattr(model.base_model.rankallocator, name, state[name])
    if state:
        model.base_model.rankallocator.peft_config.rank_pattern = state["rank_pattern"]
