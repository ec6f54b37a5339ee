from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from exp.data.collate import Collator
from exp.data.encode import cache_key, encode
from exp.data.splits import Split, assemble
from exp.errors import ExpError

TEXTS = ["one two three", "a much longer sentence, with commas", "four", "five six"]


def raw(labels=(0, 1, 0, 1), names=("no", "yes"), max_length=16, pairs=False, texts=TEXTS):
    columns = (list(texts), list(reversed(texts))) if pairs else (list(texts),)
    split = Split(columns, list(labels), [f"row-{number}" for number in range(len(texts))])
    return assemble(
        name="toy",
        train=split,
        evals={"": split, "mm": split},
        tests={"": dataclasses.replace(split, labels=None)},
        text_columns=("a", "b") if pairs else ("a",),
        label_names=names,
        metrics=("accuracy",) if names else ("pearson",),
        max_length=max_length,
        max_train_samples=None,
        max_eval_samples=None,
        both_orders=False,
    )


@pytest.fixture(scope="module")
def tokenizer(minilm: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(minilm)


def test_items_equal_the_tokenizers_own_output(tokenizer, tmp_path: Path) -> None:
    encoded = encode(raw(pairs=True), tokenizer, tmp_path)
    for row in range(4):
        expected = dict(tokenizer(TEXTS[row], TEXTS[3 - row]))
        assert encoded.train[row] == expected | {"labels": row % 2}
        assert encoded.tests[""][row] == expected
    assert encoded.evals["mm"].ids == ["row-0", "row-1", "row-2", "row-3"]
    assert encoded.train[-1] == encoded.train[3]
    with pytest.raises(IndexError):
        encoded.train[4]


def test_texts_are_cut_and_never_padded(tokenizer, tmp_path: Path) -> None:
    encoded = encode(raw(max_length=8), tokenizer, tmp_path)
    assert encoded.train.lengths == [5, 8, 3, 4]


def test_the_tokenizer_is_left_without_truncation_and_padding(minilm: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    fresh = AutoTokenizer.from_pretrained(minilm)
    assert fresh.backend_tokenizer.truncation is not None  # what this checkpoint brings, and what we undo
    encode(raw(), fresh, tmp_path)
    assert fresh.backend_tokenizer.truncation is None
    assert fresh.backend_tokenizer.padding is None


def test_a_second_run_tokenizes_nothing(tokenizer, tmp_path: Path) -> None:
    first = encode(raw(), tokenizer, tmp_path)
    assert first.cache_file is not None
    written = first.cache_file.stat().st_mtime_ns
    second = encode(raw(), tokenizer, tmp_path)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.cache_file == first.cache_file and second.cache_file.stat().st_mtime_ns == written
    assert [second.train[row] for row in range(4)] == [first.train[row] for row in range(4)]


def test_the_key_follows_contents(tokenizer, minilm: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    key = cache_key(raw(), tokenizer)
    encode(raw(), tokenizer, tmp_path)
    assert cache_key(raw(), tokenizer) == key  # a call in between does not change it
    other_texts = ["one two four", *TEXTS[1:]]
    tokenizer.save_pretrained(tmp_path / "copy")
    copy = AutoTokenizer.from_pretrained(tmp_path / "copy")
    changed = AutoTokenizer.from_pretrained(minilm)
    changed.add_tokens(["newword"])
    assert cache_key(raw(max_length=17), tokenizer) != key
    assert cache_key(raw(texts=other_texts), tokenizer) != key
    assert cache_key(raw(), changed) != key
    encode(raw(), copy, tmp_path)
    assert cache_key(raw(), copy) == key  # where a tokenizer lies does not matter


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_entry_is_made_anew(tokenizer, tmp_path: Path, damage: str) -> None:
    first = encode(raw(), tokenizer, tmp_path)
    assert first.cache_file is not None
    data = bytearray(first.cache_file.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        place = data.index(np.asarray(first.train[0]["input_ids"], dtype=np.int32).tobytes())
        data[place] ^= 1
    first.cache_file.write_bytes({"empty": b"", "text": b"no zip"}.get(damage, bytes(data)))
    again = encode(raw(), tokenizer, tmp_path)
    assert not again.from_cache
    assert again.train[0] == first.train[0]
    assert encode(raw(), tokenizer, tmp_path).from_cache


def test_a_cache_that_cannot_be_written_costs_only_time(tokenizer, tmp_path: Path, caplog) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of a folder")
    encoded = encode(raw(), tokenizer, blocked)
    assert encoded.cache_file is None and len(encoded.train) == 4
    assert "cannot be" in caplog.text and str(blocked) in caplog.text


def _one_process(arguments: tuple[str, str]) -> list[int]:
    from transformers import AutoTokenizer

    folder, cache = arguments
    return encode(
        raw(texts=TEXTS * 50, labels=(0, 1) * 100), AutoTokenizer.from_pretrained(folder), cache
    ).train.lengths


@pytest.mark.slow
def test_eight_processes_share_one_cache(minilm: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        results = pool.map(_one_process, [(str(minilm), str(tmp_path))] * 8, chunksize=1)
    assert all(lengths == results[0] for lengths in results)
    assert [file.suffix for file in (tmp_path / "tokens").iterdir()] == [".npz"]


def test_no_room_for_text_is_refused(tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ExpError, match="max_length=3"):
        encode(raw(max_length=3, pairs=True), tokenizer, tmp_path)


@pytest.mark.parametrize("multiple", [None, 8])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", ["classes", "scores"])
def test_collator_equals_transformers(tokenizer, tmp_path: Path, multiple, side: str, kind: str) -> None:
    import torch
    from transformers import DataCollatorWithPadding

    data = raw(pairs=True) if kind == "classes" else raw(labels=(0.5, 1, 2.25, 5), names=None, pairs=True)
    encoded = encode(data, tokenizer, tmp_path)
    rows = [encoded.train[row] for row in (3, 1, 0)]
    tokenizer.padding_side = side
    try:
        ours = Collator(tokenizer, multiple)(rows)
        theirs = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=multiple)(rows)
    finally:
        tokenizer.padding_side = "right"
    assert set(ours) == set(theirs)
    for key, tensor in theirs.items():
        assert ours[key].dtype == tensor.dtype and torch.equal(ours[key], tensor), key
    assert ours["labels"].dtype == (torch.int64 if kind == "classes" else torch.float32)
