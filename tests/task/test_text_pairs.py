"""Rows of source and target texts: what is read, and what is refused with its file, row and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exp.data.base import HoldOut, RawData
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.task.generated import GeneratedReading
from exp.task.summarization import Summarization
from exp.task.translation import Translation

KEYS: dict[str, Any] = {
    **dict.fromkeys(("source_column", "target_column", "source_prefix", "source_lang", "target_lang", "metrics")),
    **dict.fromkeys(("max_source_length", "max_target_length", "num_beams", "length_penalty", "early_stopping")),
    **dict.fromkeys(("no_repeat_ngram_size", "repetition_penalty", "min_new_tokens", "max_new_tokens")),
    "drop_empty": False,
    "generate_in_training": True,
}


def summaries(**given: Any) -> Summarization:
    return Summarization(**(KEYS | given))


def translations(**given: Any) -> Translation:
    return Translation(**(KEYS | {"translation_column": None} | given))


def rows(**columns: list[Any]) -> Rows:
    return Rows(Path("a.jsonl"), columns, list(range(1, 1 + len(next(iter(columns.values()))))))


def raw(train: Rows, test: Rows | None = None, **roles: Any) -> RawData:
    return RawData("toy", train, {"": train}, {} if test is None else {"": test}, roles)


GOOD = rows(document=["one two", ["three", "four ."]], summary=["one", ["three", "four"]])


def test_sentences_are_joined_and_the_first_reference_leads() -> None:
    data = summaries().read(raw(GOOD, rows(document=["five"])))
    assert data.train.inputs == {"document": ["one two", "three four ."]}
    assert data.train.targets == [["one"], ["three", "four"]]
    assert data.tests[""].targets is None
    assert (data.metrics[0], data.max_length, data.facts["max_target_length"]) == ("rouge1", 1024, 128)


def test_roles_of_the_data_come_before_the_tasks_default_and_after_its_keys() -> None:
    train = rows(article=["a"], short=["b"], document=["c"], summary=["d"])
    roles = {"source_column": "article", "target_column": "short", "max_source_length": 50}
    assert summaries().read(raw(train, **roles)).train.targets == [["b"]]
    named = summaries(target_column="summary", max_source_length=9).read(raw(train, **roles))
    assert (named.train.inputs, named.train.targets, named.max_length) == ({"article": ["a"]}, [["d"]], 9)


def test_both_sides_of_a_pair_are_read_by_their_languages() -> None:
    train = rows(translation=[{"en": "see", "ro": "vezi"}, {"en": "go", "ro": "du-te"}])
    task = translations(translation_column="translation", source_lang="en_XX", target_lang="ro")
    data = task.read(raw(train))
    assert (data.train.inputs, data.train.targets) == ({"translation.en": ["see", "go"]}, [["vezi"], ["du-te"]])
    assert task.columns_of({}) == ["translation"]
    # A file to predict has the same column, or one that is named so.
    found = task.examples(rows(translation=[{"en": "come"}]), data.facts, labelled=False)
    assert (found.inputs, found.targets) == ({"translation.en": ["come"]}, None)
    assert task.typed(["hello"], ["translation.en"]).column("translation.en") == ["hello"]
    with pytest.raises(ExpError, match=r"no column 'translation\.de'"):
        translations(translation_column="translation", source_lang="de", target_lang="ro").read(raw(train))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"document": ["a", ""], "summary": ["b", "c"]}, "a.jsonl, line 2: column 'document' is empty"),
        ({"document": ["a", " \n"], "summary": ["b", "c"]}, "line 2: column 'document' is empty"),
        ({"document": ["a", None], "summary": ["b", "c"]}, "line 2: column 'document' is empty"),
        ({"document": ["a", []], "summary": ["b", "c"]}, "line 2: column 'document' is empty"),
        ({"document": ["a", ["", ""]], "summary": ["b", "c"]}, "line 2: column 'document' is empty"),
        ({"document": ["a", "b"], "summary": ["b", None]}, "line 2: column 'summary' is empty"),
        ({"document": ["a", "b"], "summary": ["b", ["c", " "]]}, "line 2: column 'summary' is empty"),
        ({"document": ["a", "b"], "summary": ["b", []]}, "line 2: column 'summary' is empty"),
        ({"document": ["a", 3], "summary": ["b", "c"]}, "line 2: column 'document' is 3, not a text"),
        ({"document": ["a", ["b", {}]], "summary": ["b", "c"]}, "line 2: column 'document' is {}, not a text"),
        ({"document": ["a", "b"], "summary": ["b", [["c"]]]}, r"line 2: column 'summary' is \['c'\], not a text"),
        ({"document": ["a", "b"], "sumary": ["b", "c"]}, "no column 'summary'; did you mean 'sumary'"),
    ],
)
def test_what_is_no_pair_is_refused_with_its_place(columns: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        summaries().read(raw(rows(**columns)))


def test_rows_with_an_empty_text_can_be_left_out(caplog) -> None:
    caplog.set_level("INFO")
    train = rows(document=["a", "", "c", "d"], summary=["x", "y", [""], "z"])
    data = summaries(drop_empty=True).read(raw(train, rows(document=["e", " "])))
    assert (data.train.ids, data.train.targets, len(data.tests[""])) == ([0, 1], [["x"], ["z"]], 1)
    assert "a.jsonl: 2 rows left out, an empty text in document or summary" in caplog.text


def test_a_share_is_held_out() -> None:
    many = rows(document=[f"text {n}" for n in range(20)], summary=["s"] * 20)
    data = summaries().read(RawData("toy", many, {}, {}, {}, hold_out=HoldOut(0.25, 1)))
    assert (len(data.train), len(data.evals[""])) == (15, 5)


@pytest.mark.parametrize(
    ("task", "given", "message"),
    [
        (summaries, {"source_column": "a", "target_column": "a"}, "task.source_column=a is task.target_column too"),
        (summaries, {"min_new_tokens": 9, "max_new_tokens": 3}, "task.min_new_tokens=9 is above"),
        (summaries, {"num_beams": 1, "early_stopping": True}, "task.early_stopping=True is for beams"),
        (translations, {"translation_column": "t"}, "set task.source_lang and task.target_lang"),
        (translations, {"translation_column": "t", "source_column": "a"}, "task.translation_column=t holds both sides"),
    ],
)
def test_keys_that_exclude_each_other(task, given: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        task(**given)


def test_metrics_follow_the_language() -> None:
    assert translations().check_metrics({}) == ("bleu", "chrf")
    assert translations(target_lang="zh_CN").check_metrics({}) == ("bleu_zh", "chrf")
    assert translations(target_lang="jpn_Jpan").check_metrics({}) == ("bleu_char", "chrf")
    assert translations(target_lang="zh_CN", metrics=["chrf"]).check_metrics({}) == ("chrf",)
    with pytest.raises(ExpError, match=r"column 'both' holds a text for each language: set task.source_lang"):
        translations().check_metrics({"translation_column": "both"})
    with pytest.raises(ExpError, match="'accuracy' is for single_label or tags"):
        summaries(metrics=["accuracy"]).check_metrics({})


# ---- the reading half ----

ANSWERS = {"texts": ["one", "three"], "lengths": [2, 3]}


def test_the_table_has_several_references_as_a_list() -> None:
    data = summaries(metrics=["rouge1", "bleu"]).read(raw(GOOD))
    reading = GeneratedReading(("rouge1", "bleu"), "document", True)
    table = reading.decode(ANSWERS, None, data.evals[""])
    assert table.to_pylist()[1] == {
        "id": "1",
        "label": ["three", "four"],
        "prediction": "three",
        "length": 3,
        "document": "three four .",
    }
    signed = json.loads(table.schema.metadata[b"signatures"])
    assert signed == data.facts["signatures"]["eval"] and signed["bleu"].startswith("nrefs:var|")
    assert reading.score(table)["rouge1"] == pytest.approx(100) and reading.score(table)["generated_length"] == 2.5
    assert list(reading.item_scores(table)) == pytest.approx([100, 100])
    assert reading.flat(table) == (
        ["id", "label", "label_2", "prediction", "length", "document"],
        [["0", "one", None, "one", 2, "one two"], ["1", "three", "four", "three", 3, "three four ."]],
    )
    assert reading.summary(table) == "2.5 tokens each" and reading.said(table.to_pylist()[0]) == "one"


def test_one_reference_is_a_text_and_none_is_null() -> None:
    one = rows(document=["a", "b"], summary=["c d", "e"])
    data = summaries().read(raw(one, rows(document=["f", "g"])))
    reading = GeneratedReading(("rouge1",), "document", True)
    assert reading.decode(ANSWERS, None, data.evals[""])["label"].to_pylist() == ["c d", "e"]
    blank = reading.decode(ANSWERS, None, data.tests[""])
    assert blank["label"].to_pylist() == [None, None] and blank.schema.metadata is None
    assert reading.pictures(blank) == []
    assert reading.flat(blank)[1][0] == ["0", None, "one", 2, "f"]
    (picture,) = reading.pictures(reading.decode(ANSWERS, None, data.evals[""]))
    assert picture.pairs == [(2.0, 1.0), (1.0, 1.0)]


def test_guessing_answers_with_another_rows_reference() -> None:
    one = rows(document=["a", "b"], summary=["the cat sat", "the dog sat"])
    floors = GeneratedReading(("rouge1",), "document", True).chance(summaries().read(raw(one)).train)
    level, error = floors.metrics["rouge1"]
    assert (level, error) == pytest.approx((200 / 3, 0)) and floors.loss is None


def test_scitldr(shared_data: Path) -> None:
    from exp.data import readers

    folder = shared_data / "summarization" / "scitldr-a"
    train, test = (readers.read(folder / f"{name}.jsonl.gz") for name in ("train", "test"))
    roles = {"source_column": "source", "target_column": "target", "metrics": ["rouge1", "bleu"]}
    data = summaries().read(RawData("scitldr", train, {"": test}, {}, roles, id_column="paper_id"))
    assert (len(data.train), len(data.evals[""])) == (1992, 618)
    assert {len(one) for one in data.train.targets} == {1} and {len(one) for one in data.evals[""].targets} == {2, 3, 4}
    assert data.facts["signatures"]["eval"]["bleu"].startswith("nrefs:var|")


def test_the_inputs_of_transformers_own_tests(shared_data: Path) -> None:
    from exp.data import readers

    folder = shared_data / "fixtures" / "transformers"
    data = summaries().read(raw(readers.read(folder / "xsum" / "sample.json")))
    assert len(data.train) == 10 and data.train.inputs["document"][0].startswith("The warning begins at 22:00 GMT")
    pairs = raw(readers.read(folder / "wmt16" / "sample.json"), translation_column="translation")
    data = translations(source_lang="en", target_lang="ro").read(pairs)
    assert data.train.inputs["translation.en"][0] == "Membership of Parliament: see Minutes"
    assert data.train.targets[0][0].startswith("Componenţa Parlamentului")
