"""SQuAD's scores of one answer, and the threshold of "no answer"."""

from __future__ import annotations

import numpy as np
import pytest

from exp import metrics
from exp.metrics import squad


@pytest.mark.parametrize(
    ("prediction", "references", "exact", "f1"),
    [
        ("The Eiffel Tower!", ["eiffel  tower"], 1.0, 1.0),
        ("the tall tower", ["Eiffel Tower"], 0.0, 0.5),
        ("tower", ["a", "the big tower", "tower hall"], 0.0, 2 / 3),  # the best of several
        ("", [], 1.0, 1.0),
        ("tower", [], 0.0, 0.0),
        ("", ["tower"], 0.0, 0.0),
        ("Théâtre", ["théâtre"], 1.0, 1.0),
        ("a a b", ["a b b"], 0.0, 2 / 3),  # articles go first: "b" against "b b"
    ],
)
def test_one_answer(prediction, references, exact, f1):
    assert squad.exact(prediction, references) == exact
    assert squad.f1(prediction, references) == pytest.approx(f1)


def test_parts_are_means_over_questions_with_and_without_an_answer():
    predictions, references = ["red cat", "", "dog", ""], [["cat"], ["tree"], [], []]
    names = ["f1", "exact_match", "HasAns_f1", "HasAns_exact", "NoAns_f1", "NoAns_exact"]
    found = metrics.compute(names, "spans", predictions, references)
    assert found == pytest.approx(
        {"f1": (2 / 3 + 0 + 0 + 1) / 4, "exact_match": 0.25, "HasAns_f1": 1 / 3, "HasAns_exact": 0.0}
        | {"NoAns_f1": 0.5, "NoAns_exact": 0.5}
    )


def test_a_part_without_questions_is_zero():
    assert metrics.compute(["NoAns_f1"], "spans", ["cat"], [["cat"]]) == {"NoAns_f1": 0.0}


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better_than_the_best(seed):
    dice = np.random.default_rng(seed)
    n = int(dice.integers(1, 30))
    answerable = dice.random(n) < 0.6
    scores = np.where(answerable, dice.random(n), 0.0)
    differences = np.round(dice.normal(size=n), 1)  # some are equal

    def mean(threshold: float) -> float:
        return float(np.where(differences > threshold, ~answerable, scores).mean())

    best = squad.best_threshold(scores, answerable, differences, 0.0)
    tried = [*differences, *(differences - 1e-6), 0.0, differences.min() - 9, differences.max() + 9]
    assert mean(best) == pytest.approx(max(map(mean, tried)))
    assert min(abs(differences - best)) > 1e-9 or best == 0.0  # rounding cannot turn an answer


def test_the_configured_threshold_stays_where_it_is_as_good_as_any():
    answerable, differences = np.array([True, False]), np.array([-2.0, 3.0])
    assert squad.best_threshold(np.array([1.0, 0.0]), answerable, differences, 0.5) == 0.5
    assert squad.best_threshold(np.array([1.0, 0.0]), answerable, differences, 5.0) == 0.5
