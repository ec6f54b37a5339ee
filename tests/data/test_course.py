"""The numbers that chapter 3 of the Hugging Face LLM course prints, made without the Hub and without BERT:
MiniLM's tokenizer has BERT-uncased's vocabulary."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tests.reading import option, read


@pytest.fixture(scope="module")
def mrpc(glue: Path):
    return read(option("data", "mrpc", path=str(glue / "MRPC")))


@pytest.fixture(scope="module")
def tokenizer(minilm: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(minilm)


@pytest.fixture(scope="module")
def encoded(mrpc, tokenizer, tmp_path_factory: pytest.TempPathFactory):
    return option("task", "text_classification").encode(mrpc, tokenizer, tmp_path_factory.mktemp("cache"))


def test_row_counts_and_label_names(mrpc) -> None:
    assert (len(mrpc.train), len(mrpc.evals[""]), len(mrpc.tests[""])) == (3668, 408, 1725)
    assert mrpc.labels == ("not_equivalent", "equivalent")
    assert (mrpc.metrics, mrpc.max_length) == (("accuracy", "f1"), 128)


def test_train_row_14_and_test_row_86(mrpc) -> None:
    assert mrpc.labels[mrpc.train.targets[14]] == "not_equivalent"
    assert mrpc.labels[mrpc.tests[""].targets[86]] == "equivalent"


def test_a_pair_has_fifteen_tokens_and_two_types(tokenizer) -> None:
    pair = tokenizer("This is the first sentence.", "This is the second one.")
    assert len(pair["input_ids"]) == 15
    assert pair["token_type_ids"] == [0] * 8 + [1] * 7


def test_first_eight_pairs_are_padded_to_67(mrpc, encoded, tokenizer) -> None:
    assert encoded.train.lengths[:8] == [50, 59, 47, 67, 59, 50, 62, 32]
    rows = [encoded.train[row] for row in range(8)]
    assert [len(row["input_ids"]) for row in rows] == encoded.train.lengths[:8]
    batch = option("task", "text_classification").collate(tokenizer, None, mrpc.labels)(rows)
    assert {key: tuple(tensor.shape) for key, tensor in batch.items()} == {
        "input_ids": (8, 67),
        "token_type_ids": (8, 67),
        "attention_mask": (8, 67),
        "labels": (8,),
    }


def test_three_epochs_of_batch_8_are_1377_steps(encoded) -> None:
    from torch.utils.data import DataLoader

    loader = DataLoader(encoded.train, batch_size=8)  # type: ignore[arg-type]
    assert 3 * len(loader) == 1377 == 3 * math.ceil(3668 / 8)
