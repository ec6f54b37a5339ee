from __future__ import annotations

import logging
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from exp.loop.dropout import ATTENTION, Pool, PooledDropout
from exp.loop.speed import Speed
from tests.conformance.runs import config_of, parts_of


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


def test_a_mask_too_large_for_the_pool_is_drawn():
    large = torch.ones(2**21)
    torch.manual_seed(1)
    expected = nn.functional.dropout(large, 0.5, training=True)
    torch.manual_seed(1)
    assert torch.equal(Pool(0).drop(large, 0.5), expected)


def test_gradients_pass_where_values_passed():
    values = torch.ones(100, requires_grad=True)
    dropped = PooledDropout(0.5, Pool(0)).train()(values)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


def test_fast_and_exact_agree_without_dropout():
    exact, fast = (
        parts_of(config_of()),
        parts_of(config_of("speed=fast", "precision=fp32", "speed.pad_to_multiple_of=8")),
    )
    assert fast.model.config._attn_implementation == ATTENTION
    assert not modules(fast.model, nn.Dropout) and modules(fast.model, PooledDropout)
    batch = exact.collator([exact.encoded.train[i] for i in range(4)])
    assert torch.equal(exact.model.eval()(**batch).logits, fast.model.eval()(**batch).logits)
    for module in modules(fast.model, PooledDropout):
        module.p = 0.0
    for module in fast.model.modules():
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 1e-9
    padded = fast.collator([fast.encoded.train[i] for i in range(4)])
    assert padded["input_ids"].shape[1] % 8 == 0
    assert torch.allclose(fast.model.train()(**padded).logits, exact.model(**batch).logits, atol=1e-5)


def test_what_is_left_out_is_said(caplog, monkeypatch):
    model = parts_of(config_of()).model
    monkeypatch.setattr("shutil.which", lambda name: None)
    with caplog.at_level(logging.INFO, logger="exp"):
        Speed(compile=True, pad_to_multiple_of=None, pooled_dropout=False, keep_memory=False).apply(model, "cpu", 0)
        Speed(compile=False, pad_to_multiple_of=None, pooled_dropout=True, keep_memory=False).apply(model, "cuda", 0)
    assert "compile left out, it needs a C++ compiler" in caplog.text
    assert (
        Speed(compile=False, pad_to_multiple_of="auto", pooled_dropout=False, keep_memory=False).pads_to("cpu") is None
    )
    assert "pooled_dropout left out" in caplog.text and modules(model, nn.Dropout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's malloc")
def test_kept_memory_is_not_mapped_anew():
    code = """
import resource, sys, torch
from torch import nn
from exp.loop.speed import Speed
Speed(compile=False, pad_to_multiple_of=None, pooled_dropout=False, keep_memory=sys.argv[1] == "yes").apply(
    nn.Identity(), "cpu", 0)
for turn in range(40):
    if turn == 30:  # the heap has grown to what it needs
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(10 * 2**20)  # 40 MB: 10240 pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {
        word: int(subprocess.run([sys.executable, "-c", code, word], capture_output=True, check=True).stdout)
        for word in ("yes", "no")
    }
    assert faults["no"] > 90_000 and faults["yes"] < 30_000
