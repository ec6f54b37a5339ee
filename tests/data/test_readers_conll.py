from __future__ import annotations

from pathlib import Path

import pytest

from exp.data.readers import ReadOptions, header_of, read
from exp.errors import ExpError


def get(tmp_path: Path, content: str, name: str = "a.conll", **options):
    (tmp_path / name).write_text(content)
    return read(tmp_path / name, ReadOptions(**options))


def test_each_sentence_is_a_row(tmp_path: Path) -> None:
    odd = "\u200b\tO\na\ufeffb\tO\nc\u00a0d\tB-creative-work\n"
    rows = get(tmp_path, f"-DOCSTART-\tO\n\nEU\tB-ORG\nrejects\tO\r\n\t\n{odd}   \n\n-DOCSTART-\tO\nend\tO")
    assert rows.columns == {
        "tokens": [["EU", "rejects"], ["\u200b", "a\ufeffb", "c\u00a0d"], ["end"]],
        "tags": [["B-ORG", "O"], ["O", "O", "B-creative-work"], ["O"]],
    }
    assert rows.lines == [3, 6, 12] and rows.where(1).endswith("a.conll, line 6")


@pytest.mark.parametrize(
    ("content", "options", "names"),
    [
        ("EU NNP I-NP B-ORG \n", {}, ["column_1", "column_2", "column_3", "column_4"]),
        ("EU   NNP\n", {}, ["tokens", "tags"]),
        ("EU\n", {}, ["tokens"]),
        ("EU NNP\n", {"names": ["words", "pos"]}, ["words", "pos"]),
        ("EU|NNP\n", {"sep": "|"}, ["tokens", "tags"]),
        ("New York\tB-LOC\n", {}, ["tokens", "tags"]),  # a space inside a field that tabs end
    ],
)
def test_columns(tmp_path: Path, content: str, options: dict, names: list[str]) -> None:
    rows = get(tmp_path, content, **options)
    assert list(rows.columns) == names == header_of(tmp_path / "a.conll", ReadOptions(**options))
    assert all(len(cells[0]) == 1 for cells in rows.columns.values())


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a\tO\nb\n", {}, r"a.conll, line 2: 1 columns, expected 2 \(tokens, tags\)"),
        ("a O\n\nb O O\n", {}, r"a.conll, line 3: 3 columns, expected 2"),
        ("a O\n", {"names": ["tokens", "pos", "tags"]}, r"line 1: 2 columns, expected 3 \(tokens, pos, tags\)"),
        ("\n\t\n \n", {}, "no rows"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, content: str, options: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        get(tmp_path, content, **options)


def word(number: str, form: str) -> str:
    return "\t".join([number, form, "_", "NOUN", "NN", "_", "0", "root", "_", "_"]) + "\n"


def test_conllu_keeps_words_only(tmp_path: Path) -> None:
    rows = get(
        tmp_path,
        "# sent_id = 1\n# text = # du\n" + word("1-2", "du") + word("1", "de") + word("2", "le") + word("2.1", "vu")
        + "\n# comment\n\n" + word("1", "#"),
        "a.conllu",
    )  # fmt: skip
    assert rows.columns["form"] == [["de", "le"], ["#"]] and rows.columns["upos"] == [["NOUN", "NOUN"], ["NOUN"]]
    assert list(rows.columns) == ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
    assert rows.lines == [4, 10]
    assert header_of(tmp_path / "a.conllu", ReadOptions()) == list(rows.columns)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (word("1", "a") + "2\tb\tc\n", "a.conllu, line 2: 3 columns, expected 10"),
        (word("1", "a").replace("\t", " "), "a.conllu, line 1: 1 columns"),
        (word("1", "a") + word("x", "b"), "a.conllu, line 2: id 'x'"),
        ("# only a comment\n\n", "no rows"),
    ],
)
def test_conllu_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        get(tmp_path, content, "a.conllu")
