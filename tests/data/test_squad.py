"""SQuAD's nested JSON, as rows."""

from __future__ import annotations

import json

import pytest

from exp.data import readers
from exp.data.read_options import ReadOptions
from exp.errors import ExpError


def written(path, articles):
    path.write_text(json.dumps({"version": "v2.0", "data": articles}, indent=1))
    return path


def article(**question):
    qas = [{"id": "q1", "question": "Who?", "answers": [{"text": "Anna", "answer_start": 0}], **question}]
    return {"title": "A", "paragraphs": [{"context": "Anna came.", "qas": qas}]}


def test_one_row_a_question(tmp_path):
    impossible = {"plausible_answers": [{"text": "Anna", "answer_start": 0}], "answers": [], "is_impossible": True}
    path = written(tmp_path / "dev.json", [article(is_impossible=False), article(id="q2", **impossible)])
    rows = readers.read(path)
    assert rows.columns == {
        "id": ["q1", "q2"],
        "title": ["A", "A"],
        "question": ["Who?", "Who?"],
        "context": ["Anna came.", "Anna came."],
        "answers": [{"text": ["Anna"], "answer_start": [0]}, {"text": [], "answer_start": []}],
        "is_impossible": [False, True],
    }
    assert rows.where(1) == f"{path}, question 2"
    assert readers.header_of(path, ReadOptions()) == list(rows.columns)


def test_a_test_file_without_answers_is_unlabelled(tmp_path):
    bare = article()
    del bare["paragraphs"][0]["qas"][0]["answers"], bare["title"]
    rows = readers.read(written(tmp_path / "test.json", [bare]))
    assert rows.columns["answers"] == [None] and "title" not in rows and "is_impossible" not in rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one["paragraphs"][0].pop("context"), r"article 2 \('A'\), paragraph 1: the context is None"),
        (lambda one: one["paragraphs"][0].update(qas={}), r"article 2 \('A'\), paragraph 1: 'qas' is {}, no list"),
        (lambda one: one.update(paragraphs=3), r"article 2 \('A'\): 'paragraphs' is 3, no list"),
        (lambda one: one["paragraphs"][0]["qas"][0].update(answers="x"), r"question 'q1': 'answers' is 'x', no list"),
    ],
)
def test_what_has_another_shape_is_named(tmp_path, change, message):
    broken = article()
    change(broken)
    with pytest.raises(ExpError, match=message):
        readers.read(written(tmp_path / "dev.json", [article(), broken]))


@pytest.mark.parametrize(
    ("file", "questions", "unanswerable"),
    [
        ("question-answering/squad2-part/small-dev-set.json", 1292, 580),
        ("question-answering/squad2-part/train-subset-1.json", 753, 0),
        ("question-answering/xquad/xquad.de.json", 1190, 0),
        ("fixtures/transformers/SQUAD/dev-v2.0-small.json", 14, 6),
    ],
)
def test_public_files(shared_data, file, questions, unanswerable):
    from exp.task.gold import aligned_rows, gold_of

    rows = readers.read(shared_data / file)
    gold = gold_of(rows, "answers")
    assert (len(rows), sum(not one.texts for one in gold)) == (questions, unanswerable)
    assert len(aligned_rows(rows, gold, rows.texts("context"), drop=False)) == questions
