"""A tokenizer and a config that disagree on what fills a row, as checkpoints have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from exp.data.collate import Collator
from exp.errors import ExpError
from exp.task.tokens import fills, tokenized
from tests.model import families
from tests.model.test_families import spread
from tests.model.test_pretrained import head_of
from tests.optim.test_options import make


def loaded(folder: Path) -> tuple[Any, Any, Any]:
    """Model, tokenizer and collator, as a training gets them."""
    source = make("model", "pretrained", path=str(folder))
    processor = source.processor(None, head_of(max_length=12))
    torch.manual_seed(5)
    model = source.model(head_of(max_length=12), processor)
    collator = Collator(fills(processor), left=False, pad_to_multiple_of=None, target_dtype="int64")
    return model, processor, collator


@pytest.mark.parametrize(
    ("family", "pad", "of_config", "expected"),
    [
        ("llama", None, 0, 0),  # the model's own
        ("llama", None, None, 3),  # none at all: the end token
        ("llama", None, -1, 3),
        ("llama", "<pad>", 9, 0),  # the tokenizer's, which fills the rows
        ("gpt2", None, 9, 9),
        ("bert", "<pad>", 9, 0),
        ("roberta", "<pad>", 0, 0),
    ],
)
def test_no_prediction_depends_on_which_token_fills(
    family: str, pad: str | None, of_config: int | None, expected: int, tmp_path: Path
) -> None:
    folder = families.write(family, tmp_path, families.tokenizer(pad=pad), pad_token_id=of_config)
    model, processor, collator = loaded(folder)
    assert (processor.pad_token_id, model.config.pad_token_id) == (expected, expected)
    assert spread(model, collator, processor) < 1e-4


def test_a_padding_token_without_a_row_is_not_used(tmp_path: Path) -> None:
    """`add_special_tokens` without `resize_token_embeddings`."""
    tokenizer = families.tokenizer(pad=None)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert tokenizer.pad_token_id == len(families.WORDS)
    model, processor, collator = loaded(families.write("bert", tmp_path, tokenizer))
    assert processor.pad_token_id == 0
    assert spread(model, collator, processor) < 1e-4


def test_another_token_without_a_row_is_refused(tmp_path: Path) -> None:
    tokenizer = families.tokenizer()
    tokenizer.add_tokens(["<new>"])
    with pytest.raises(ExpError, match=r"embedding table of 65 rows has none for \('<new>'\)"):
        loaded(families.write("bert", tmp_path, tokenizer))


@pytest.mark.parametrize(("family", "side"), [("gpt2", "right"), ("bert", "right"), ("xlnet", "left")])
def test_rows_are_filled_where_the_head_does_not_read(family: str, side: str, tmp_path: Path) -> None:
    folder = families.write(family, tmp_path, families.tokenizer(side="left" if side == "right" else "right"))
    source = make("model", "pretrained", path=str(folder))
    assert source.processor(None, head_of(max_length=12)).padding_side == side


@pytest.mark.parametrize(
    ("family", "limit"), [("mpnet", 38), ("longformer", 39), ("esm", 39), ("xlnet", None), ("mpt", 40)]
)
def test_the_longest_input_is_what_the_position_table_holds(family: str, limit: int | None, tmp_path: Path) -> None:
    from exp.model.padding import longest_input

    assert longest_input(families.config_of(family)) == limit


def test_an_empty_text_becomes_the_end_token() -> None:
    tokenizer = families.tokenizer(special=False)
    assert tokenizer("")["input_ids"] == []
    rows = tokenized(tokenizer, [["w1 w2", "", "w3"]], 8)["input_ids"]
    assert [rows[row].tolist() for row in range(3)] == [[6, 7], [3], [8]]


def test_a_family_that_reads_padding_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded(families.write("fnet", tmp_path, families.tokenizer()))
    assert "is a fnet: it has no attention mask, so a prediction depends" in caplog.text
