from __future__ import annotations

import pytest

from exp.errors import ExpError
from exp.speed import precision
from tests.optim.test_options import make


@pytest.mark.parametrize(("name", "word"), [("fp32", "no"), ("bf16", "bf16")])
def test_accelerates_word_on_a_cpu(name, word):
    assert make("precision", name).resolve("cpu") == word


def test_fp16_on_a_cpu_is_refused_with_the_reason():
    with pytest.raises(ExpError, match="fp16 needs a GPU: its loss scaling"):
        make("precision", "fp16").resolve("cpu")
    assert make("precision", "fp16").resolve("cuda") == "fp16"


@pytest.mark.parametrize(("flags", "word"), [({"avx2", "avx512_bf16"}, "bf16"), ({"avx2"}, "no"), (set(), "no")])
def test_auto_follows_the_cpu(monkeypatch, flags, word):
    monkeypatch.setattr(precision, "_cpu_flags", lambda: flags)
    assert make("precision", "auto").resolve("cpu") == word
    assert make("precision", "bf16").resolve("cpu") == "bf16"  # asked for by name it runs, emulated


@pytest.mark.parametrize(("major", "word"), [(8, "bf16"), (9, "bf16"), (7, "no")])
def test_auto_follows_the_gpu(monkeypatch, major, word):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (major, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla V100")
    assert make("precision", "auto").resolve("cuda") == word
    if word == "no":
        with pytest.raises(ExpError, match="Tesla V100 computes no bf16"):
            make("precision", "bf16").resolve("cuda")


def test_an_unknown_name_is_refused():
    with pytest.raises(ExpError, match="did you mean 'bf16'"):
        make("precision", "bf16", name="bf17")


def test_cpu_flags_are_read_from_this_machine():
    flags = precision._cpu_flags()
    assert isinstance(flags, set) and all(isinstance(flag, str) for flag in flags)
