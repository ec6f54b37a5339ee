from __future__ import annotations

import random

import pytest
import seqeval.metrics
from seqeval.scheme import IOB2

from exp.errors import ExpError
from exp.metrics import entities

TAGS = ["O", "O", "O", "B-a", "I-a", "B-b", "I-b"]


def rows(seed: int, tags: list[str] = TAGS, n: int = 60) -> list[list[str]]:
    draw = random.Random(seed)
    return [draw.choices(tags, k=1 + at % 5) for at in range(n)]


@pytest.mark.parametrize("seed", range(5))
def test_the_scores_are_those_of_seqeval_over_all_rows(seed):
    found, right = rows(seed), rows(seed + 100)
    options = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    expected = {
        f"entity_{name}": getattr(seqeval.metrics, f"{name}_score")(right, found, **options)
        for name in ("f1", "recall", "precision")
    }
    scores = entities.compute(["accuracy", "entity_f1", "entity_recall", "entity_precision"], found, right)
    assert scores == expected and list(scores) == list(expected)
    report = seqeval.metrics.classification_report(right, found, output_dict=True, **options)
    assert entities.of_each_type(found, right) == {name: report[name]["f1-score"] for name in ("a", "b")}


@pytest.mark.parametrize("found", [[["O"], []], [["B-a"], []]])
def test_rows_without_an_entity_score_zero(found):
    assert entities.compute(["entity_f1"], found, [["O"], []]) == {"entity_f1": 0.0}


def test_no_entity_at_all_has_no_types():
    assert entities.of_each_type([["O"]], [["O"]]) == {}


def test_a_tag_of_another_scheme_is_named():
    with pytest.raises(ExpError, match="tag 'S-a' is not IOB2"):
        entities.compute(["entity_f1"], [["S-a"]], [["O"]])
    assert entities.of_each_type([["S-a"]], [["O"]]) is None
    assert entities.compute(["accuracy"], [["S-a"]], [["O"]]) == {}
