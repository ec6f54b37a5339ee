from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GPT2Config, LlamaConfig, T5Config

from exp.speed.dropout import ATTENTION, PIECE, Pool, PooledDropout, pool_dropout


def modules(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


def test_a_pooled_mask_drops_the_rate_and_keeps_the_mean():
    pool = Pool(seed=0)
    ones = torch.ones(500, 800)
    torch.manual_seed(1)
    dropped = pool.drop(ones, 0.1)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.9])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.1, abs=0.002)
    assert not torch.equal(dropped, pool.drop(ones, 0.1))
    torch.manual_seed(1)
    assert torch.equal(dropped, Pool(seed=0).drop(ones, 0.1))
    assert pool.drop(ones.bfloat16(), 0.1).dtype == torch.bfloat16


def test_each_piece_of_a_large_tensor_has_a_mask_of_its_own():
    large = torch.ones(5, PIECE // 2, requires_grad=True)  # two pieces and a half
    torch.manual_seed(1)
    dropped = Pool(0).drop(large, 0.5)
    assert dropped.unique().tolist() == [0.0, 2.0]
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.002)
    first, second, rest = dropped.detach().view(-1).split(PIECE)
    for one, other in ((first, second), (first[: len(rest)], rest)):
        assert (one == other).float().mean().item() == pytest.approx(0.5, abs=0.002)
    dropped.sum().backward()
    assert torch.equal(large.grad, dropped.detach())
    torch.manual_seed(1)
    assert torch.equal(Pool(0).drop(large.detach().view(-1), 0.5), dropped.detach().view(-1))


def test_gradients_pass_where_values_passed():
    values = torch.ones(100, requires_grad=True)
    dropped = PooledDropout(0.5, Pool(0)).train()(values)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


TINY = {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
RARE = 1e-9  # a rate above 0, so that training goes the pool's way, and so small that nothing is dropped
READ_PART = {  # families whose attention does not look at all tokens alike: causal, grouped, by distance
    "gpt2": GPT2Config(n_embd=32, n_layer=2, n_head=2, attn_pdrop=RARE, resid_pdrop=0, embd_pdrop=0, **TINY),
    "llama": LlamaConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        attention_dropout=RARE,
        **TINY,
    ),
    "t5": T5Config(
        d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, dropout_rate=RARE, decoder_start_token_id=0, **TINY
    ),
}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", READ_PART)
def test_pooled_attention_looks_where_transformers_looks(family, padded):
    config = copy.deepcopy(READ_PART[family])
    torch.manual_seed(0)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config).train()
    ids = torch.randint(2, 60, (3, 12))
    batch = {"input_ids": ids, "labels": ids}
    if padded:
        batch["attention_mask"] = torch.ones_like(ids).index_fill(1, torch.tensor([10, 11]), 0)
    plain = model(**batch).logits
    pool_dropout(model, seed=0)
    assert model.config._attn_implementation == ATTENTION
    assert torch.allclose(model(**batch).logits, plain, atol=1e-5)


def nodes_of(tensor):
    """Names of all steps of a tensor's backward pass."""
    found, open_ = set(), [tensor.grad_fn]
    while open_:
        node = open_.pop()
        if node is not None and node not in found:
            found.add(node)
            open_ += [further for further, _ in node.next_functions]
    return {node.name() for node in found}


@pytest.mark.parametrize("family", READ_PART)
def test_attention_without_dropout_is_plain_products_in_bf16(family, monkeypatch):
    config = copy.deepcopy(READ_PART[family])
    config.attention_dropout = config.attn_pdrop = config.dropout_rate = 0.0
    torch.manual_seed(0)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config).train()
    pool_dropout(model, seed=0)
    ids = torch.randint(2, 60, (3, 12))

    def logits_and_nodes():
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids, labels=ids).logits
        return logits, any("ScaledDotProduct" in name for name in nodes_of(logits))

    found, fused = logits_and_nodes()
    assert not fused
    monkeypatch.setattr("exp.speed.dropout.FEW_SCORES", 0)  # so there are too many
    expected, fused = logits_and_nodes()
    assert fused
    assert torch.allclose(found.float(), expected.float(), atol=0.05)
