from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from exp.data.parallel import Parallel
from exp.errors import ExpError


def option(path: Path, **given) -> Parallel:
    sides = {f"{split}_{side}_file": None for split in ("train", "validation", "test") for side in ("source", "target")}
    rest = {"name": None, "validation_share": 0.25, "split_seed": 1, "encoding": None, "roles": None}
    samples = {"max_train_samples": None, "max_eval_samples": None}
    named = {"train_source_file": "train.en", "train_target_file": "train.de"}
    return Parallel(path=str(path), **(sides | rest | samples | named | given))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.en").write_text("one\ntwo\u2028words\nthree\nfour\n", encoding="utf-8")
    (tmp_path / "train.de").write_text("eins\r\nzwei\u00a0Wörter\r\ndrei\r\nvier", encoding="utf-8")
    with gzip.open(tmp_path / "val.en.gz", "wt", encoding="utf-8") as file:
        file.write("five\n")
    (tmp_path / "val.de").write_text("fünf\n", encoding="utf-8")
    return tmp_path


def test_lines_are_joined_by_their_number(folder: Path) -> None:
    """A line ends where its file says: other separators of Unicode stay in the text."""
    raw = option(folder, validation_source_file="val.en*", validation_target_file="val.de").read()
    assert raw.name == "train"
    assert raw.train.columns == {
        "source": ["one", "two\u2028words", "three", "four"],
        "target": ["eins", "zwei\u00a0Wörter", "drei", "vier"],
    }
    assert raw.train.where(2).endswith("train.en, line 3")
    assert raw.evals[""].columns == {"source": ["five"], "target": ["fünf"]} and raw.hold_out is None
    assert option(folder).read().hold_out.share == 0.25


def test_a_test_set_may_lack_its_translations(folder: Path) -> None:
    raw = option(folder, test_source_file="val.en.gz").read()
    assert raw.tests[""].columns == {"source": ["five"]}


def test_line_counts_that_differ_are_both_named(folder: Path) -> None:
    (folder / "train.de").write_text("eins\nzwei\ndrei\n", encoding="utf-8")
    with pytest.raises(ExpError, match=r"train.en has 4 lines and .*train.de has 3"):
        option(folder).read()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train_source_file": None}, "data=parallel needs both sides"),
        ({"train_target_file": None}, "data.train_source_file=train.en needs data.train_target_file"),
        ({"validation_target_file": "val.de"}, "data.validation_target_file=val.de needs data.validation_source_file"),
        ({"train_target_file": "train.d"}, "train.d; did you mean 'train.de'"),
        ({"train_target_file": "train.*"}, "fits 2 files"),
        ({"encoding": "utf9"}, "data.encoding=utf9: no such encoding"),
    ],
)
def test_what_cannot_be_read_is_said_before_it_is(folder: Path, given: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        option(folder, **given)


def test_multi30k(shared_data: Path) -> None:
    files = {
        f"{split}_{side}_file": f"{name}.{language}*"
        for split, name in (("train", "train"), ("validation", "val"), ("test", "test_2016_flickr"))
        for side, language in (("source", "en"), ("target", "de"))
    }
    raw = option(shared_data / "translation" / "multi30k-en-de", **files).read()
    assert [len(one) for one in (raw.train, raw.evals[""], raw.tests[""])] == [29000, 1014, 1000]
    assert raw.train.columns["source"][0] == "Two young, White males are outside near many bushes."
    assert raw.train.columns["target"][0] == "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche."
