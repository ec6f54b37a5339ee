from __future__ import annotations

import numpy as np
import pytest

from exp.data.collate import IGNORED
from exp.data.features import FeatureSet, Ragged
from exp.task.masking import MaskedFeatures, Masker

MASK = 3


def masker(probability=0.15, whole_words=False) -> Masker:
    return Masker(probability, whole_words, MASK, np.arange(5, 1000))


def features(lengths, probability=0.15, whole_words=False) -> MaskedFeatures:
    rows = [np.asarray([1, *range(100, 100 + length), 2], np.int32) for length in lengths]
    words = [np.asarray([-1, *(at // 3 for at in range(length)), -1], np.int32) for length in lengths]
    fields = {"input_ids": Ragged.of(rows, np.int32)}
    plain = FeatureSet(fields, None, {"word": Ragged.of(words, np.int32)}, None)
    return MaskedFeatures(plain, masker(probability, whole_words), fixed_seed=13)


def test_the_share_and_the_rule_of_80_10_10():
    dice = np.random.default_rng(1)
    ids = np.arange(100, 900, dtype=np.int32)
    shown, labels = masker().masked(ids, np.zeros(800, np.int32), dice)
    chosen = labels != IGNORED
    assert chosen.sum() == 120 and (labels[chosen] == ids[chosen]).all() and (shown[~chosen] == ids[~chosen]).all()
    hits = {"mask": 0, "same": 0, "other": 0}
    for _ in range(50):
        shown, labels = masker().masked(ids, np.zeros(800, np.int32), dice)
        chosen = labels != IGNORED
        hits["mask"] += int((shown[chosen] == MASK).sum())
        hits["same"] += int((shown[chosen] == ids[chosen]).sum())
    hits["other"] = 50 * 120 - hits["mask"] - hits["same"]
    assert hits["mask"] / 6000 == pytest.approx(0.8, abs=0.02)
    assert hits["same"] / 6000 == pytest.approx(0.1, abs=0.02)
    assert hits["other"] / 6000 == pytest.approx(0.1, abs=0.02)


def test_every_row_has_a_token_to_find_and_never_a_special_one():
    found = features([1, 2, 3, 40])
    for row in range(4):
        labels = np.asarray(found[row]["labels"])
        assert (labels != IGNORED).sum() >= 1 and labels[0] == labels[-1] == IGNORED


def test_whole_words_are_found_whole():
    found = features([30], probability=0.3, whole_words=True)
    for epoch in range(10):
        found.begin_epoch(epoch, 7)
        chosen = np.asarray(found[0]["labels"])[1:-1] != IGNORED
        words = chosen.reshape(10, 3)
        assert (words.all(axis=1) | ~words.any(axis=1)).all() and words.any(axis=1).sum() == 3


def test_masks_depend_on_seed_epoch_and_row_alone():
    one, two = features([40, 40, 40]), features([40, 40, 40])
    fixed = [one[row] for row in range(3)]
    assert fixed == [one[row] for row in range(3)]  # of an evaluation: always the same
    assert fixed[0]["labels"] != fixed[1]["labels"]
    one.begin_epoch(0, 7)
    first = [one[row] for row in range(3)]
    one.begin_epoch(1, 7)
    second = [one[row] for row in range(3)]
    assert first != second and first != fixed
    two.begin_epoch(1, 7)  # a run that goes on never saw epoch 0
    assert [two[row] for row in (2, 0, 1)] == [second[row] for row in (2, 0, 1)]
    two.begin_epoch(1, 8)
    assert [two[row] for row in range(3)] != second
