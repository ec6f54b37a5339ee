from __future__ import annotations

import copy
import logging
import subprocess
import sys

import pytest
import torch
from torch import nn
from transformers import (
    BertForMultipleChoice,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraForMultipleChoice,
    ElectraForSequenceClassification,
    RobertaForSequenceClassification,
)

from exp.speed.dropout import ATTENTION, PooledDropout
from exp.speed.embedding import KeptGradientEmbedding, keep_embedding_gradients
from exp.speed.first_token import first_token_only
from exp.speed.linear import OneDnnLinear, onednn_linear
from exp.speed.options import Speed
from exp.testing.loops import config_of, parts_of


def modules(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


def test_fast_and_exact_agree_without_dropout():
    exact, fast = (
        parts_of(config_of()),
        parts_of(config_of("speed=fast", "precision=fp32", "speed.pad_to_multiple_of=8")),
    )
    assert fast.model.config._attn_implementation == ATTENTION
    assert not modules(fast.model, nn.Dropout) and modules(fast.model, PooledDropout)
    batch = exact.collator([exact.encoded.train[i] for i in range(4)])
    assert torch.allclose(exact.model.eval()(**batch).logits, fast.model.eval()(**batch).logits, atol=1e-6)
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
        Speed(compile=True, pad_to_multiple_of=None, pooled_dropout=False).apply(model, "cpu", "no", 0, packed=False)
        Speed(compile=False, pad_to_multiple_of=None, pooled_dropout=True).apply(model, "cuda", "no", 0, packed=False)
    assert "compile left out, it needs a C++ compiler" in caplog.text
    assert "pooled_dropout left out" in caplog.text and modules(model, nn.Dropout)


@pytest.mark.parametrize("written", [False, True])
def test_a_kept_embedding_gradient_is_torchs_own(written):
    plain = nn.Embedding(50, 8, padding_idx=0)
    kept = nn.Embedding(50, 8, padding_idx=0)
    kept.load_state_dict(plain.state_dict())
    keep_embedding_gradients(kept)
    assert isinstance(kept, KeptGradientEmbedding)
    tables = set()
    for turn in range(4):
        for module in (plain, kept):
            module.weight.grad = None
            torch.manual_seed(turn)
            for _ in range(1 + turn % 2):  # every other step has two micro-batches
                (module(torch.randint(0, 50, (4, 6))).sin() * torch.randn(4, 6, 8)).sum().backward()
            if written:
                module.weight.grad.add_(float("nan"))  # what a clipped bad gradient does to every row
        assert torch.equal(plain.weight.grad, kept.weight.grad) or written
        tables.add(kept.weight.grad.data_ptr())
    assert len(tables) == 1  # one table for all steps
    if written:
        kept.weight.grad = None
        kept(torch.tensor([3])).sum().backward()
        assert kept.weight.grad.isfinite().all() and kept.weight.grad[3].eq(1).all()
    for module in (plain, kept):  # looked up twice in one pass
        module.weight.grad = None
        (module(torch.tensor([1, 2])).sum() + 3 * module(torch.tensor([2, 4])).sum()).backward()
    assert torch.equal(plain.weight.grad, kept.weight.grad)
    with torch.no_grad():
        assert torch.equal(plain(torch.arange(50)), kept(torch.arange(50)))


def test_onednn_computes_torchs_products():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 256, bias=False), nn.Linear(256, 2))
    ours = copy.deepcopy(plain)
    onednn_linear(ours)
    assert [type(module) is OneDnnLinear for module in ours] == [True, False, True, False]  # the last one is small
    for shape in ((3, 5, 256), (7, 256), (256,)):
        inputs = [torch.randn(shape).requires_grad_() for _ in range(2)]
        inputs[1].data.copy_(inputs[0].data)
        for _ in range(2):  # gradients add up
            for model, x in zip((plain, ours), inputs, strict=True):
                model(x).square().sum().backward()
        assert torch.allclose(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-5)
        for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
            assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-4)
        assert torch.allclose(plain(inputs[0]), ours(inputs[0]), rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(torch.randn(3, 256)).dtype == torch.bfloat16
    ours[0].requires_grad_(False)  # a frozen layer
    ours(torch.randn(3, 256)).sum().backward()
    assert ours[0].weight.grad is not None  # what it had before


def test_onednn_is_for_the_processors_that_mkl_slows_down(monkeypatch):
    import torch.backends.cpu

    def applied(name, width, precision="no"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": name})
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: width)
        model = nn.Sequential(nn.Linear(256, 256))
        speed = Speed(compile=False, pad_to_multiple_of="kernels", pooled_dropout=False, onednn_linear="auto")
        speed.apply(model, "cpu", precision, 0, packed=False)
        # Lengths are made few where oneDNN keeps a kernel for each.
        keeps_kernels = isinstance(model[0], OneDnnLinear) or precision == "bf16"
        assert speed.pads_to("cpu", precision) == (8 if keeps_kernels else None)
        assert speed.pads_to("cuda", precision) == 8
        return isinstance(model[0], OneDnnLinear)

    assert applied("AMD EPYC", "AVX512")
    assert not applied("AMD EPYC", "AVX2")
    assert not applied("Intel(R) Xeon(R)", "AVX512")
    assert not applied("AMD EPYC", "AVX512", precision="bf16")


def test_freed_memory_stays():
    script = """
import ctypes, sys
from exp.speed.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    raise SystemExit("no glibc")
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype = ctypes.c_void_p
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd x y z w v".split()]
libc.mallinfo2.restype = Info
block = ctypes.c_void_p(libc.malloc(20_000_000))
mapped = libc.mallinfo2().hblkhd > 20_000_000
libc.free(block)
print(mapped, libc.mallinfo2().arena > 20_000_000)
"""
    plain, kept = (
        subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True) for how in ("plain", "keep")
    )
    if kept.stderr.strip() == "no glibc":
        pytest.skip("the C library is not glibc")
    assert plain.stdout.split() == ["True", "False"]  # mapped for itself, and given back
    assert kept.stdout.split() == ["False", "True"], kept.stderr  # in the heap, which keeps its size


FAMILY = [BertForSequenceClassification, RobertaForSequenceClassification, ElectraForSequenceClassification]


@pytest.mark.parametrize("kind", FAMILY)
def test_a_last_layer_for_the_first_token_alone_gives_the_same(kind):
    size = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    torch.manual_seed(0)
    plain = kind(kind.config_class(**size, **no_dropout, vocab_size=100, pad_token_id=0))
    for weights in plain.parameters():
        weights.data.normal_(0, 0.2)
    ours = copy.deepcopy(plain)
    assert first_token_only(ours)
    ids = torch.randint(5, 100, (4, 12))
    mask = (torch.arange(12) < torch.tensor([[12], [7], [3], [12]])).long()
    rows = []
    ours.base_model.encoder.layer[-1].output.dense.register_forward_hook(lambda *given: rows.append(given[2].shape))
    for model in (plain, ours):
        model.train()(input_ids=ids * mask, attention_mask=mask, labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    assert rows == [(4, 1, 32)]
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        assert one.grad is None or torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6)
    plain.eval(), ours.eval()
    assert torch.allclose(plain(ids, mask).logits, ours(ids, mask).logits, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [BertForMultipleChoice, ElectraForMultipleChoice])
def test_so_it_does_for_choices(kind):
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    torch.manual_seed(0)
    plain = kind(kind.config_class(**size, vocab_size=100, pad_token_id=0)).eval()
    for weights in plain.parameters():
        weights.data.normal_(0, 0.2)
    ours = copy.deepcopy(plain)
    assert first_token_only(ours)
    ids = torch.randint(5, 100, (3, 2, 9))
    mask = (torch.arange(9) < torch.randint(2, 10, (3, 2, 1))).long()
    found = [model(input_ids=ids, attention_mask=mask, labels=torch.tensor([0, 1, 0])) for model in (plain, ours)]
    assert torch.allclose(found[0].logits, found[1].logits, rtol=1e-4, atol=1e-6)
    for one in found:
        one.loss.backward()
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        assert one.grad is None or torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_a_summary_of_other_tokens_keeps_them():
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    config = ElectraForMultipleChoice.config_class(**size, vocab_size=100, summary_type="mean")
    assert not first_token_only(ElectraForMultipleChoice(config))


def test_a_head_that_may_read_more_keeps_all_tokens(caplog):
    config = DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, vocab_size=100)
    with caplog.at_level(logging.INFO, logger="exp"):
        speed = Speed(compile=False, pad_to_multiple_of=None, pooled_dropout=False, first_token_only=True)
        speed.apply(DistilBertForSequenceClassification(config), "cpu", "no", 0, packed=False)
    assert "first_token_only left out, DistilBertForSequenceClassification" in caplog.text


def test_a_config_of_an_older_version_is_read_as_it_was_meant():
    older = Speed(compile="auto", pad_to_multiple_of="auto", pooled_dropout=True, keep_memory=True)
    assert older.pads_to("cpu", "no") is None and older.pads_to("cuda", "bf16") == 8
    assert not (older.first_token_only or older.keep_embedding_gradients or older.onednn_linear)
