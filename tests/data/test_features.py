from __future__ import annotations

import dataclasses
import mmap
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from tests.reading import option, rows
from tests.reading import raw as raw_of

from exp.data.examples import TaskData
from exp.errors import ExpError

TEXTS = ["one two three", "a much longer sentence, with commas", "four", "five six"]


TASK = option("task", "text_classification")


def data(labels=("no", "yes", "no", "yes"), max_length=16, pairs=False, texts=TEXTS) -> TaskData:
    """A toy data set with two evaluation sets and an unlabelled test set; labels that are numbers are scores."""
    columns = {"a": list(texts)} | ({"b": list(reversed(texts))} if pairs else {})
    train = rows(label=list(labels), **columns)
    raw = raw_of(
        train,
        test=rows(**columns),
        text_columns=list(columns),
        problem_type="single_label_classification" if isinstance(labels[0], str) else "regression",
        max_length=max_length,
    )
    return TASK.read(dataclasses.replace(raw, evals={"": train, "mm": train}))


def encode(data: TaskData, tokenizer, cache: Path):
    return TASK.encode(data, tokenizer, Path(cache))


@pytest.fixture(scope="module")
def tokenizer(minilm: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(minilm)


def test_items_equal_the_tokenizers_own_output(tokenizer, tmp_path: Path) -> None:
    encoded = encode(data(pairs=True), tokenizer, tmp_path)
    for row in range(4):
        expected = dict(tokenizer(TEXTS[row], TEXTS[3 - row]))
        assert encoded.train[row] == expected | {"labels": row % 2}
        assert encoded.tests[""][row] == expected
    assert encoded.evals["mm"][1] == encoded.train[1]
    assert encoded.train[-1] == encoded.train[3]
    with pytest.raises(IndexError):
        encoded.train[4]


def test_texts_are_cut_and_never_padded(tokenizer, tmp_path: Path) -> None:
    encoded = encode(data(max_length=8), tokenizer, tmp_path)
    assert encoded.train.lengths == [5, 8, 3, 4]


def test_the_tokenizer_is_left_without_truncation_and_padding(minilm: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    fresh = AutoTokenizer.from_pretrained(minilm)
    assert fresh.backend_tokenizer.truncation is not None  # what this checkpoint brings, and what we undo
    encode(data(), fresh, tmp_path)
    assert fresh.backend_tokenizer.truncation is None
    assert fresh.backend_tokenizer.padding is None


def test_a_second_run_tokenizes_nothing(tokenizer, tmp_path: Path) -> None:
    first = encode(data(), tokenizer, tmp_path)
    assert first.cache_file is not None
    written = first.cache_file.stat().st_mtime_ns
    second = encode(data(), tokenizer, tmp_path)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.cache_file == first.cache_file and second.cache_file.stat().st_mtime_ns == written
    assert [second.train[row] for row in range(4)] == [first.train[row] for row in range(4)]


def test_every_run_reads_the_cache_without_a_copy(tokenizer, tmp_path: Path) -> None:
    """The run that made it too: processes share the pages of the file."""
    for from_cache in (False, True):
        encoded = encode(data(), tokenizer, tmp_path)
        assert encoded.from_cache == from_cache
        base = encoded.train.fields["input_ids"].values
        while isinstance(base, np.ndarray):
            assert not base.flags.owndata and not base.flags.writeable
            base = base.base
        assert isinstance(base, memoryview) and isinstance(base.obj, mmap.mmap)


def test_the_key_follows_contents(tokenizer, minilm: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    def key(data: TaskData, tokenizer) -> str:
        return encode(data, tokenizer, tmp_path).cache_file.name

    first = key(data(), tokenizer)
    assert key(data(), tokenizer) == first  # the call before does not change it
    other_texts = ["one two four", *TEXTS[1:]]
    tokenizer.save_pretrained(tmp_path / "copy")
    copy = AutoTokenizer.from_pretrained(tmp_path / "copy")
    changed = AutoTokenizer.from_pretrained(minilm)
    changed.add_tokens(["newword"])
    assert key(data(max_length=17), tokenizer) != first
    assert key(data(texts=other_texts), tokenizer) != first
    assert key(data(), changed) != first
    assert key(data(), copy) == first  # where a tokenizer lies does not matter


def test_labels_are_not_in_the_cache(tokenizer, tmp_path: Path) -> None:
    """They are in the key, and they are taken from the data, so that nobody trains on those of an earlier run."""
    encode(data(), tokenizer, tmp_path)
    turned = encode(data(labels=("yes", "no", "yes", "no")), tokenizer, tmp_path)
    assert [turned.train[row]["labels"] for row in range(4)] == [1, 0, 1, 0]
    assert turned.train.targets == [1, 0, 1, 0]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_entry_is_made_anew(tokenizer, tmp_path: Path, damage: str) -> None:
    first = encode(data(), tokenizer, tmp_path)
    assert first.cache_file is not None
    row = first.train[0]  # before the file that it is mapped from is written into
    content = bytearray(first.cache_file.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        place = content.index(np.asarray(row["input_ids"], dtype=np.int32).tobytes())
        content[place] ^= 1
    first.cache_file.write_bytes({"empty": b"", "text": b"no zip"}.get(damage, bytes(content)))
    again = encode(data(), tokenizer, tmp_path)
    assert not again.from_cache
    assert again.train[0] == row
    assert encode(data(), tokenizer, tmp_path).from_cache


def test_a_cache_that_cannot_be_written_costs_only_time(tokenizer, tmp_path: Path, caplog) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of a folder")
    encoded = encode(data(), tokenizer, blocked)
    assert encoded.cache_file is None and len(encoded.train) == 4
    assert "cannot be" in caplog.text and str(blocked) in caplog.text


def _one_process(arguments: tuple[str, str]) -> list[int]:
    from transformers import AutoTokenizer

    folder, cache = arguments
    large = data(texts=TEXTS * 50, labels=("no", "yes") * 100)
    return encode(large, AutoTokenizer.from_pretrained(folder), Path(cache)).train.lengths


@pytest.mark.slow
def test_eight_processes_share_one_cache(minilm: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        results = pool.map(_one_process, [(str(minilm), str(tmp_path))] * 8, chunksize=1)
    assert all(lengths == results[0] for lengths in results)
    assert [file.suffix for file in (tmp_path / "tokens").iterdir()] == [".npz"]


def test_no_room_for_text_is_refused(tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ExpError, match="max_length=3"):
        encode(data(max_length=3, pairs=True), tokenizer, tmp_path)


@pytest.mark.parametrize("multiple", [None, 8])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", ["classes", "scores"])
def test_collator_equals_transformers(tokenizer, tmp_path: Path, multiple, side: str, kind: str) -> None:
    import torch
    from transformers import DataCollatorWithPadding

    toy = data(pairs=True) if kind == "classes" else data(labels=(0.5, 1, 2.25, 5), pairs=True)
    encoded = encode(toy, tokenizer, tmp_path)
    chosen = [encoded.train[row] for row in (3, 1, 0)]
    tokenizer.padding_side = side
    try:
        ours = TASK.collate(tokenizer, multiple, toy.labels)(chosen)
        theirs = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=multiple)(chosen)
    finally:
        tokenizer.padding_side = "right"
    assert set(ours) == set(theirs)
    for key, tensor in theirs.items():
        assert ours[key].dtype == tensor.dtype and torch.equal(ours[key], tensor), key
    assert ours["labels"].dtype == (torch.int64 if kind == "classes" else torch.float32)
