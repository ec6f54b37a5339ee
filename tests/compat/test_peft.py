"""Fails in words when peft changes a name that exp.compat.peft uses."""

from __future__ import annotations

from typing import Any

import peft
import pytest
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from exp.compat.peft import IMPORTANCES, rank_allocator


def wrapped(kind: str) -> Any:
    torch_model = BertForSequenceClassification(
        BertConfig(vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    )
    if kind == "lora":
        return peft.get_peft_model(torch_model, peft.LoraConfig(target_modules=["query"]))
    config = peft.AdaLoraConfig(target_modules=["query"], total_step=10, tinit=1, tfinal=1)
    return peft.get_peft_model(torch_model, config)


def test_adalora_keeps_its_importances_where_we_look() -> None:
    allocator = rank_allocator(wrapped("adalora"))
    assert allocator is not None, "peft's AdaLoRA has no rankallocator any more: find what decides its ranks"
    for name in IMPORTANCES:
        assert isinstance(getattr(allocator, name, None), dict), (
            f"peft's rank allocator has no {name} any more: a resumed AdaLoRA run would forget its importances"
        )
    assert hasattr(allocator.peft_config, "rank_pattern"), "peft keeps the ranks of AdaLoRA in another place now"


@pytest.mark.parametrize("model", [wrapped("lora"), None])
def test_every_other_model_has_none(model: Any) -> None:
    if model is None:
        model = BertForSequenceClassification(BertConfig(vocab_size=16, hidden_size=8, num_attention_heads=2))
    assert isinstance(model, nn.Module) and rank_allocator(model) is None
