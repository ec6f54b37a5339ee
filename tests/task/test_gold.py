"""Gold answers of questions, as data sets write them."""

from __future__ import annotations

import pytest

from exp.errors import ExpError
from exp.task.gold import Gold, gold_of
from tests.task.questions import CONTEXT, NONE, answers, rows


@pytest.mark.parametrize(
    "cell",
    [
        {"text": ["paris"], "answer_start": [13]},
        {"text": "paris", "answer_start": 13.0},
        [{"text": "paris", "answer_start": 13}],
        '{"text": ["paris"], "answer_start": [13]}',
        "{'text': ['paris'], 'answer_start': [13]}",
    ],
)
def test_answers_in_every_usual_form(cell):
    assert gold_of(rows((CONTEXT, cell)), "answers") == [Gold(["paris"], [13])]


def test_no_answer_is_an_empty_list_or_is_impossible_and_never_plausible():
    found = gold_of(
        rows(
            (CONTEXT, NONE, {"is_impossible": False, "plausible_answers": answers("paris")}),
            (CONTEXT, answers("paris"), {"is_impossible": True}),
            (CONTEXT, [], {"is_impossible": None}),
        ),
        "answers",
    )
    assert found == [Gold([], [])] * 3


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "q.jsonl, line 1: column 'answers' is missing; give"),
        ("paris", "column 'answers' is 'paris'; give"),
        ({"text": ["paris"]}, "column 'answers' is {'text'"),
        ({"text": ["a", "b"], "answer_start": [1]}, "has 2 texts and 1 numbers in answer_start"),
        ({"text": [""], "answer_start": [0]}, "has the text ''; a question without an answer has an empty list"),
        ({"text": ["a"], "answer_start": [None]}, "has None in answer_start"),
        ({"text": ["a"], "answer_start": [float("nan")]}, "has nan in answer_start"),
        ({"text": ["a"], "answer_start": [1.5]}, "has 1.5 in answer_start"),
    ],
)
def test_answers_of_another_shape_are_named(cell, message):
    with pytest.raises(ExpError) as caught:
        gold_of(rows((CONTEXT, cell)), "answers")
    assert message in str(caught.value)
