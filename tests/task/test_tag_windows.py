"""Windows over words: each word is answered and labelled once."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from exp.data.examples import Examples
from exp.errors import ExpError
from exp.task.base import EvaluatedBatch
from exp.task.token_classification import TagReading
from tests.reading import raw
from tests.task.tagged_words import GOOD, NAMES, table, task


@pytest.fixture(scope="module")
def tokenizer():
    from tests.tiny_models import tiny_tokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    return tiny_tokenizer("bert", (f"{letters} {letters[::-1]} {' '.join(letters)} the soup dogs the soup dogs",))


def sentences() -> Examples:
    """Sentences of 1 to 14 words; most words have several word pieces."""
    dice = np.random.default_rng(3)
    words = ["soup", "officials", "unbelievable", "the", "rose", "dogs"]
    made = [[words[i] for i in dice.integers(0, len(words), length)] for length in (1, 3, 14, 2, 11)]
    return Examples(list(range(5)), {"tokens": made}, [dice.integers(0, 3, len(row)).tolist() for row in made])


def encoded(tokenizer, folder, split: Examples, max_length: int, **changes):
    made = table(*((row, [NAMES[0]] * len(row)) for row in split.inputs["tokens"]))
    data = task(scheme="plain", label_names=NAMES, max_length=max_length).read(raw(made))
    data = replace(data, train=split, evals={"": split}, fingerprint=f"{split.targets}")
    return task(max_length=max_length, **changes).encode(data, tokenizer, folder).train


@pytest.mark.parametrize(("max_length", "stride"), [(128, 0), (16, 0), (16, 5), (10, 3), (10, 4)])
def test_every_word_is_answered_and_labelled_once(tokenizer, tmp_path, max_length, stride) -> None:
    split = sentences()
    features = encoded(tokenizer, tmp_path, split, max_length, stride=stride)
    assert max(features.lengths) <= max_length
    assert (len(features) > 5) == (max_length < 128)
    answered: dict[int, list[int]] = {row: [] for row in range(5)}
    for window, owner in enumerate(features.example):
        item = features[window]
        at, words = features.kept["at"][window].tolist(), features.kept["word"][window].tolist()
        answered[int(owner)] += words
        labels = {place: label for place, label in enumerate(item["labels"]) if label != -100}
        assert labels == {place: split.targets[owner][word] for place, word in zip(at, words, strict=True)}
        for place, word in zip(at, words, strict=True):
            piece = tokenizer.convert_ids_to_tokens(item["input_ids"][place])
            assert split.inputs["tokens"][owner][word].startswith(piece), "a word's first piece"
    assert {row: sorted(words) for row, words in answered.items()} == {
        row: list(range(len(words))) for row, words in enumerate(split.inputs["tokens"])
    }


def test_windows_overlap_and_a_word_is_answered_where_it_has_most_context(tokenizer, tmp_path) -> None:
    words = ["the"] * 20
    features = encoded(tokenizer, tmp_path, Examples([0], {"tokens": [words]}, [[0] * 20]), 12, stride=4)
    pieces = 10 // (12 - 2) * 10  # of text in a window
    assert features.lengths[:2] == [12, 12] and pieces == 10
    first, second = (features.kept["word"][window].tolist() for window in (0, 1))
    # Window 0 shows words 0 to 9, window 1 words 6 to 15: the four in both are shared in the middle.
    assert first == list(range(8)) and second[0] == 8


def test_all_pieces_of_a_word_may_count_in_the_loss(tokenizer, tmp_path) -> None:
    split = Examples([0], {"tokens": [["unbelievable", "soup", "the"]]}, [[1, 0, 2]])
    once = encoded(tokenizer, tmp_path, split, 64)[0]
    every = encoded(tokenizer, tmp_path, split, 64, label_all_tokens=True)[0]
    words = tokenizer(split.inputs["tokens"][0], is_split_into_words=True).word_ids()
    assert once["input_ids"] == every["input_ids"] and words.count(0) > 1
    expected = []
    for place, word in enumerate(words):
        tag = -100 if word is None else split.targets[0][word]
        inside = {1: 2}.get(tag, tag)  # B-x is followed by I-x within its word
        expected.append(inside if place and word == words[place - 1] else tag)
    assert every["labels"] == expected
    assert [label for label in once["labels"] if label != -100] == [1, 0, 2]


def test_a_stride_that_leaves_no_room_is_refused(tokenizer, tmp_path) -> None:
    source = raw(table(GOOD), max_length=12)
    data = task().read(source)
    with pytest.raises(ExpError, match=r"task.stride=10 leaves no room for new words in windows of 12 tokens"):
        task(stride=10).encode(data, tokenizer, tmp_path)


@pytest.mark.parametrize("side", ["right", "left"])
def test_answers_are_of_the_words_whatever_the_padding(tokenizer, tmp_path, side) -> None:
    import torch

    split = Examples([0, 1], {"tokens": [["the", "unbelievable", "soup"], ["dogs"]]}, [[0, 1, 2], [0]])
    features = encoded(tokenizer, tmp_path, split, 64)
    tokenizer.padding_side = side
    try:
        batch = task().collate(tokenizer, None, NAMES)([features[0], features[1]])
    finally:
        tokenizer.padding_side = "right"
    assert task().units(batch) == 4
    logits = torch.nn.functional.one_hot(batch["labels"].clamp(min=0), 3) * 5.0  # right where there is a label
    logits[batch["labels"] == -100] = torch.tensor([0.0, 0.0, 9.0])
    found = task().answer(EvaluatedBatch(None, batch, SimpleNamespace(logits=logits), features, [0, 1]))
    assert [tags.tolist() for tags in found["tags"]] == split.targets
    assert found["scores"][0][0] == pytest.approx(math.exp(5) / (math.exp(5) + 2), abs=1e-6)
    predictions = TagReading(NAMES, ("accuracy",), "tokens").decode(found, features, split)
    assert predictions["prediction"].to_pylist() == predictions["label"].to_pylist() == [["O", "B-x", "I-x"], ["O"]]


def test_a_word_that_the_tokenizer_does_not_see_is_outside(tokenizer, tmp_path) -> None:
    split = Examples([0], {"tokens": [["the", "\u200b", "soup"]]}, [[1, 1, 0]])
    features = encoded(tokenizer, tmp_path, split, 64)
    assert features.kept["word"][0].tolist() == [0, 2]
    found = {"tags": [np.array([1, 1])], "scores": [np.array([0.5, 0.5])]}
    table_of = TagReading(NAMES, ("accuracy",), "tokens").decode(found, features, split)
    assert table_of["prediction"].to_pylist() == [["B-x", "O", "B-x"]]
