"""The files that people have. Counts are those that the data sets state."""

from __future__ import annotations

from pathlib import Path

import pytest

from exp.data.readers import ReadOptions, header_of, read
from exp.errors import ExpError

CASES = [
    # file, options, rows, column names, the place of the last row
    ("csv/sms-spam/spam.csv", {"encoding": "cp1252"}, 5572, "v1 v2 unnamed_3 unnamed_4 unnamed_5", "line 5573"),
    (
        "csv/10kgnad/test.csv.gz",
        {"sep": ";", "quotechar": "'", "names": ["label", "text"]},
        1028,
        "label text",
        "line 1028",
    ),
    (
        "csv/korean-hate-speech/train.tsv",
        {"quotechar": '"'},
        7896,
        "comments contain_gender_bias bias hate",
        "line 7897",
    ),
    (
        "multi-label/goemotions/train.tsv.gz",
        {"names": ["text", "labels", "id"], "quotechar": "none"},
        43410,
        "text labels id",
        "line 43410",
    ),
    ("token-classification/wnut17/wnut17train.conll", {}, 3394, "tokens tags", "line 66113"),
    ("token-classification/wnut17/emerging.dev.conll", {}, 1009, "tokens tags", "line 16732"),
    ("token-classification/wnut17/emerging.test.annotated", {"format": "conll"}, 1287, "tokens tags", "line 24663"),
    (
        "token-classification/ud-english-eslspok/en_eslspok-ud-train.conllu",
        {},
        1856,
        "id form lemma upos xpos feats head deprel deps misc",
        "line 22428",
    ),
    ("multiple-choice/commonsenseqa/train_rand_split.jsonl.gz", {}, 9741, "answerKey id question", "line 9741"),
    (
        "summarization/scitldr-a/train.jsonl.gz",
        {},
        1992,
        "source source_labels rouge_scores paper_id target title",
        "line 1992",
    ),
    ("instruction/kto-demo/kto_en_demo.json", {}, 300, "messages label", "line 5385"),
    ("question-answering/xquad/xquad.en.json", {}, 1190, "id title question context answers", "question 1190"),
    ("fixtures/transformers/SQUAD/sample.json", {}, 14, "id question context answers", "line 191"),
    (
        "sentence-pairs/sick/SICK_train.txt",
        {"format": "tsv"},
        4500,
        "pair_ID sentence_A sentence_B relatedness_score entailment_judgment",
        "line 4501",
    ),
    ("language-modeling/tiny-shakespeare/input.txt", {"format": "text"}, 40000, "text", "line 40000"),
]


@pytest.mark.parametrize(("file", "options", "rows", "names", "place"), CASES, ids=[case[0] for case in CASES])
def test_real_files(shared_data: Path, file: str, options: dict, rows: int, names: str, place: str) -> None:
    found = read(shared_data / file, ReadOptions(**options))
    assert len(found) == rows and list(found.columns) == names.split()
    assert found.where(rows - 1) == f"{shared_data / file}, {place}"
    assert header_of(shared_data / file, ReadOptions(**options)) in (names.split(), None)


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("csv/sms-spam/spam.csv", {}, "line 7: byte 0xe5 is not UTF-8; likely cp1252"),
        ("csv/korean-hate-speech/train.tsv", {}, "line 499: fields stand in"),
        ("csv/10kgnad/test.csv.gz", {"sep": ";", "names": ["label", "text"]}, "line 1: 3 fields, .*quotechar"),
        ("multi-label/goemotions/dev.tsv", {"header": "none"}, "fields stand in"),
    ],
)
def test_what_a_default_reader_would_damage_is_refused(
    shared_data: Path, file: str, options: dict, message: str
) -> None:
    with pytest.raises(ExpError, match=message):
        read(shared_data / file, ReadOptions(**options))


def test_what_is_in_them(shared_data: Path) -> None:
    folder = shared_data / "token-classification" / "wnut17"
    train = read(folder / "wnut17train.conll")
    assert sum(map(len, train.column("tokens"))) == 62730
    assert [len(row) for row in train.column("tokens")] == [len(row) for row in train.column("tags")]
    assert "B-creative-work" in {tag for row in train.column("tags") for tag in row}
    dev = {token for row in read(folder / "emerging.dev.conll").column("tokens") for token in row}
    assert any("\u200b" in token for token in dev) and any("\ufeff" in token for token in dev)
    news = read(
        shared_data / "csv" / "10kgnad" / "test.csv.gz",
        ReadOptions(sep=";", quotechar="'", names=["label", "text"]),
    )
    assert len(set(news.texts("label"))) == 9 and not any(text.startswith("'") for text in news.texts("text"))
    spam = read(shared_data / "csv" / "sms-spam" / "spam.csv", ReadOptions(encoding="cp1252"))
    assert [spam.column("v1").count(label) for label in ("ham", "spam")] == [4825, 747]
    assert sum(bool(cell) for cell in spam.column("unnamed_3")) == 50
    questions = read(shared_data / "multiple-choice" / "commonsenseqa" / "dev_rand_split.jsonl").column("question")
    assert [choice["label"] for choice in questions[0]["choices"]] == list("ABCDE")


@pytest.mark.parametrize("name", ["MRPC/train.tsv", "MRPC/dev.tsv", "STS-B/train.tsv", "STS-B/dev.tsv"])
def test_glue_needs_no_options(glue: Path, name: str) -> None:
    from exp.data.delimited import read_tsv

    assert read(glue / name).columns == read_tsv(glue / name).columns
