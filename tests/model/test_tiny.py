from __future__ import annotations

import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from exp.model.tiny import SPECIAL, vocabulary
from tests.optim.test_options import make

TRAIN = {"text": ["The soup was cold, the staff rude.", "The staff was kind!"], "other": ["the café", "a a"]}
PAIR = SimpleNamespace(train=TRAIN, text_columns=("text", "other"), label_names=("neg", "pos"), max_length=64)


def test_frequent_words_come_first_and_rare_ones_are_spelt():
    words = vocabulary(Counter({"b": 5, "the": 3, "soup": 1, "was": 3}), 100)
    assert words[:5] == list(SPECIAL)
    assert words[-2:] == ["the", "was"], "equal counts in alphabetical order"
    assert "soup" not in words and "##p" in words and "s" in words
    assert len(words) == len(set(words))


def test_the_size_is_kept_but_no_character_is_lost():
    counts = Counter({f"w{number}": 2 for number in range(100)})
    characters = 11  # w and ten digits
    assert len(vocabulary(counts, 60)) == 60
    assert len(vocabulary(counts, 6)) == len(SPECIAL) + 2 * characters


def test_a_pair_reads_as_in_bert():
    tokenizer = make("model", "bert_tiny").tokenizer(PAIR)
    out = tokenizer("The staff", "was rude")
    tokens = tokenizer.convert_ids_to_tokens(out["input_ids"])
    assert tokens == ["[CLS]", "the", "staff", "[SEP]", "was", "r", "##u", "##d", "##e", "[SEP]"]
    assert out["token_type_ids"] == [0] * 4 + [1] * 6
    assert tokenizer.pad_token_id == 0
    assert tokenizer.decode(out["input_ids"], skip_special_tokens=True) == "the staff was rude"


@pytest.mark.slow
def test_the_vocabulary_is_the_same_in_every_process():
    code = (
        "from tests.model.test_tiny import PAIR, make; import hashlib;"
        " t = make('model', 'bert_tiny').tokenizer(PAIR);"
        " print(hashlib.sha256(t.backend_tokenizer.to_str().encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={**_env(), "PYTHONHASHSEED": s}
        ).stdout.strip()
        for s in ("1", "2")
    }
    assert len(seen) == 1 and seen != {""}


def _env():
    import os

    return {**os.environ, "PYTHONPATH": ":".join(p for p in sys.path if p) + ":."}


def test_weights_come_from_the_current_rng_and_load_again(tmp_path):
    source = make("model", "bert_tiny")
    tokenizer = source.tokenizer(PAIR)
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(source.model(PAIR, tokenizer))
    first, same, other = (m.bert.embeddings.word_embeddings.weight for m in models)
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert (models[0].config.num_hidden_layers, models[0].config.hidden_size) == (2, 128)
    models[0].save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again, reader = (
        AutoModelForSequenceClassification.from_pretrained(tmp_path),
        AutoTokenizer.from_pretrained(tmp_path),
    )
    text = ("The staff was kind", "the soup")
    assert dict(reader(*text)) == dict(tokenizer(*text))
    batch = reader(*text, return_tensors="pt")
    assert torch.allclose(again.eval()(**batch).logits, models[0].eval()(**batch).logits, atol=1e-6)
    assert again.config.id2label == {0: "neg", 1: "pos"}


def test_regression():
    data = SimpleNamespace(**{**vars(PAIR), "label_names": None})
    source = make("model", "bert_tiny")
    config = source.model(data, source.tokenizer(data)).config
    assert (config.num_labels, config.problem_type) == (1, "regression")
