"""Folds: every row is held out once, each label evenly, and nothing but the seed draws them."""

from __future__ import annotations

from collections import Counter

import pytest

from exp.data.base import Fold
from exp.errors import ExpError
from exp.task.assemble import cut_fold
from exp.training.build import fold_of


@pytest.mark.parametrize("repetition", [0, 1])
def test_every_row_is_held_out_once_and_labels_are_even(repetition):
    strata = [i % 3 == 0 for i in range(50)]
    cuts = [cut_fold(strata, None, 50, Fold(number, 4, repetition)) for number in range(4)]
    assert sorted(row for _, out in cuts for row in out) == list(range(50))
    for kept, out in cuts:
        assert sorted([*kept, *out]) == list(range(50)) and len(out) in (12, 13)
        assert abs(Counter(strata[row] for row in out)[True] - 17 / 4) <= 1


def test_another_repetition_cuts_otherwise_and_the_same_one_alike():
    first, again, other = (cut_fold(None, None, 40, Fold(0, 4, repetition)) for repetition in (0, 0, 1))
    assert first == again and first != other


def test_rows_of_one_group_stay_together():
    groups = [i // 7 for i in range(60)]
    cuts = [cut_fold(None, groups, 60, Fold(number, 3, 0)) for number in range(3)]
    held = [{groups[row] for row in out} for _, out in cuts]
    assert not held[0] & held[1] and not held[1] & held[2] and set.union(*held) == set(groups)


def test_more_folds_than_rows_are_refused():
    with pytest.raises(ExpError, match="folds=5 is more than the 3 rows"):
        cut_fold(None, None, 3, Fold(0, 5, 0))
    with pytest.raises(ExpError, match="folds=5 is more than the 2 texts that rows share"):
        cut_fold(None, [0, 1] * 9, 18, Fold(0, 5, 0))


def test_seeds_are_folds_and_then_other_cuts():
    assert [fold_of({"folds": 3, "seed": seed}) for seed in (0, 2, 3)] == [(0, 3, 0), (2, 3, 0), (0, 3, 1)]
    assert fold_of({"folds": None, "seed": 1}) is None and fold_of({"seed": 1}) is None
