from __future__ import annotations

import subprocess
import sys

import pytest

from exp.data.examples import Examples, TaskData
from exp.errors import ExpError
from exp.model.decoder_tiny import Gpt2Tiny, LlamaTiny
from exp.model.trained_tokenizer import texts_in, trained_tokenizer
from exp.task.base import Head

TEXTS = ["the cat sat on the mat", "the dog ran to the cat", "naïve café"] * 3
SHAPE = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "dropout": 0.0}
LLAMA = {**SHAPE, "num_key_value_heads": 1, "intermediate_size": 64}


def examples() -> Examples:
    return Examples(list(range(len(TEXTS))), {"text": TEXTS}, None)


@pytest.mark.parametrize("kind", ["bpe", "characters"])
def test_every_text_comes_back_as_it_was(kind):
    tokenizer = trained_tokenizer(examples(), kind, 300, 64)
    for text in ("the cat", "  two  spaces\n\ttab ", "中文 😀 ∑", "don't , stop ."):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text and None not in ids


def test_characters_are_one_token_each_and_bpe_has_fewer():
    characters, bpe = (trained_tokenizer(examples(), kind, 400, 64) for kind in ("characters", "bpe"))
    text = "the cat sat"
    assert len(characters(text)["input_ids"]) == len(text) > len(bpe(text)["input_ids"])


def test_the_same_text_gives_the_same_vocabulary():
    script = (
        "from exp.model.trained_tokenizer import trained_tokenizer as t\n"
        "from exp.data.examples import Examples\n"
        f"e = Examples([0], {{'text': {TEXTS!r}}}, None)\n"
        "print([sorted(t(e, k, 300, 64).get_vocab().items()) for k in ('bpe', 'characters')])"
    )
    # Another process hashes words otherwise.
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    given = Examples([0], {"text": TEXTS}, None)
    own = [sorted(trained_tokenizer(given, kind, 300, 64).get_vocab().items()) for kind in ("bpe", "characters")]
    assert other.strip() == str(own) and "<|endoftext|>" in other


def test_the_tokenizer_sees_words_chats_and_targets():
    chat = [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]
    assert list(texts_in([["x", ["y", "z"]], [chat], [3, None, "t"]])) == [
        *("x", "y", "z", "user", "a b", "assistant", "c", "t"),
    ]


@pytest.mark.parametrize("option", [Gpt2Tiny, LlamaTiny])
def test_a_head_that_the_family_lacks_is_refused(option):
    made = option(tokenizer="bpe", vocab_size=300, **(LLAMA if option is LlamaTiny else SHAPE))
    head = Head("AutoModelForMaskedLM", None, None, "FEATURE_EXTRACTION", "fill-mask", 16, drawn=False)
    data = TaskData("texts", examples(), {}, {}, None, ("perplexity",), 16, "")
    with pytest.raises(ExpError, match=r"has no head for fill-mask; families that have one: .*bert"):
        made.processor(data, head)


@pytest.mark.parametrize("option", [Gpt2Tiny, LlamaTiny])
def test_they_classify_too(option):
    import torch

    made = option(tokenizer="bpe", vocab_size=300, **(LLAMA if option is LlamaTiny else SHAPE))
    labels = ("no", "yes")
    data = TaskData("texts", examples(), {}, {}, labels, ("accuracy",), 16, "")
    head = Head(
        "AutoModelForSequenceClassification",
        labels,
        "single_label_classification",
        "SEQ_CLS",
        "text-classification",
        16,
    )
    tokenizer = made.processor(data, head)
    model = made.model(head, tokenizer)
    batch = tokenizer(["the cat", "the"], return_tensors="pt", padding=True)
    assert model(**batch, labels=torch.tensor([0, 1])).logits.shape == (2, 2)


def test_sizes_that_cannot_work():
    with pytest.raises(ExpError, match=r"model.vocab_size=100: byte-level BPE has 256 bytes"):
        Gpt2Tiny(tokenizer="bpe", vocab_size=100, **SHAPE)
    with pytest.raises(ExpError, match=r"model.hidden_size=32 must be a multiple of model.num_attention_heads=3"):
        Gpt2Tiny(tokenizer="bpe", vocab_size=300, **{**SHAPE, "num_attention_heads": 3})
    with pytest.raises(ExpError, match=r"multiple of model.num_key_value_heads=2"):
        LlamaTiny(tokenizer="bpe", vocab_size=300, **{**LLAMA, "num_attention_heads": 1, "num_key_value_heads": 2})
    with pytest.raises(ExpError, match=r"odd width"):
        LlamaTiny(tokenizer="bpe", vocab_size=300, **{**LLAMA, "hidden_size": 6})
