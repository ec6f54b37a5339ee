from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from exp.data.examples import Examples, TaskData
from exp.model.tiny import SPECIAL, vocabulary
from tests.model.test_pretrained import head_of
from tests.optim.test_options import make

TRAIN = {"text": ["The soup was cold, the staff rude.", "The staff was kind!"], "other": ["the café", "a a"]}
PAIR = TaskData("toy", Examples([0, 1], TRAIN, [0, 1]), {}, {}, ("neg", "pos"), ("accuracy",), 64, "")
HEAD = head_of(("neg", "pos"))


def pair_tokenizer():
    return make("model", "bert_tiny").processor(PAIR, HEAD)


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
    tokenizer = pair_tokenizer()
    out = tokenizer("The staff", "was rude")
    tokens = tokenizer.convert_ids_to_tokens(out["input_ids"])
    assert tokens == ["[CLS]", "the", "staff", "[SEP]", "was", "r", "##u", "##d", "##e", "[SEP]"]
    assert out["token_type_ids"] == [0] * 4 + [1] * 6
    assert tokenizer.pad_token_id == 0
    assert tokenizer.decode(out["input_ids"], skip_special_tokens=True) == "the staff was rude"


@pytest.mark.slow
def test_the_vocabulary_is_the_same_in_every_process():
    code = (
        "import hashlib, pickle, sys; from tests.optim.test_options import make;"
        " tokenizer = make('model', 'bert_tiny').processor(*pickle.load(sys.stdin.buffer));"
        " print(hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest())"
    )
    given, env = pickle.dumps((PAIR, HEAD)), {**_env(), "PYTHONHASHSEED": "1"}
    again = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, env=env)
    own = hashlib.sha256(pair_tokenizer().backend_tokenizer.to_str().encode()).hexdigest()
    assert again.stdout.decode().strip() == own, again.stderr.decode()


def _env():
    import os

    return {**os.environ, "PYTHONPATH": ":".join(p for p in sys.path if p) + ":."}


def test_weights_come_from_the_current_rng_and_load_again(tmp_path):
    source = make("model", "bert_tiny")
    tokenizer = source.processor(PAIR, HEAD)
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(source.model(HEAD, tokenizer))
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
    config = make("model", "bert_tiny").model(head_of(None), pair_tokenizer()).config
    assert (config.num_labels, config.problem_type) == (1, "regression")


def test_words_of_sentences_in_lists_are_counted():
    sentences = Examples([0, 1], {"tokens": [["The", "soup"], ["the", "soup", "!"]]}, [[0, 0], [0, 0, 0]])
    tags = head_of(("O", "B-x"), auto_class="AutoModelForTokenClassification", problem_type=None)
    source = make("model", "bert_tiny")
    tokenizer = source.processor(replace(PAIR, train=sentences), tags)
    assert {"the", "soup"} <= set(tokenizer.get_vocab()) and "staff" not in tokenizer.get_vocab()
    model = source.model(tags, tokenizer)
    assert type(model).__name__ == "BertForTokenClassification" and model.config.id2label == {0: "O", 1: "B-x"}


def test_a_longer_input_gets_more_positions():
    head = head_of(max_length=700)
    tokenizer = make("model", "bert_tiny").processor(PAIR, head)
    assert tokenizer.model_max_length == 700
    assert make("model", "bert_tiny").model(head, tokenizer).config.max_position_embeddings == 700
