from __future__ import annotations

import copy

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration
from transformers.activations import NewGELUActivation

from exp.speed.options import Speed


def modules(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_the_tanh_form_of_gelu_is_one_kernel(family):
    """The same function and gradient to fp32's rounding, and nothing else of the model changes."""
    torch.manual_seed(0)
    if family == "gpt2":
        plain = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=50)).eval()
    else:
        size = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "vocab_size": 50}
        plain = T5ForConditionalGeneration(
            T5Config(**size, feed_forward_proj="gated-gelu", decoder_start_token_id=0)
        ).eval()
    fused = copy.deepcopy(plain)
    Speed(compile=False, pad_to_multiple_of=None, pooled_dropout=False, fused_gelu=True).kernels(
        fused, "cpu", "no", packed=False
    )
    assert modules(plain, NewGELUActivation) and not modules(fused, NewGELUActivation)
    ids = torch.randint(50, (2, 9))
    losses = [model(input_ids=ids, labels=ids).loss for model in (plain, fused)]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)
    for (name, one), other in zip(plain.named_parameters(), fused.parameters(), strict=True):
        assert one.grad is None or torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6), name
    assert fused.state_dict().keys() == plain.state_dict().keys()
