from __future__ import annotations

import numpy as np

from exp.data.collate import IGNORED
from exp.task.blocks import TokenSequence, concatenated, made, packed, separate, sums


def sequences(*lengths: int) -> list[TokenSequence]:
    """Example i has the ids 100 i, 100 i + 1, ...; ten bytes and two words."""
    found = []
    for example, length in enumerate(lengths):
        ids = np.arange(100 * example, 100 * example + length, dtype=np.int32)
        found.append(TokenSequence(example, ids, ids, 2, 10))
    return found


def predicted(row) -> list[int]:
    return [int(label) for label in row.labels[1:] if label != IGNORED]


def test_every_token_of_a_text_is_predicted_once():
    for lengths in ((5, 0, 13, 1), (8,), (7, 7, 7), (1,), (20,)):
        rows = concatenated(sequences(*lengths), block_size=8, begin=[999], overlap=1)
        assert all(2 <= len(row.ids) <= 8 for row in rows)
        found = [token for row in rows for token in predicted(row)]
        assert found == [100 * i + at for i, length in enumerate(lengths) for at in range(length)]


def test_segments_belong_to_their_examples():
    rows = concatenated(sequences(5, 0, 13, 1), block_size=8, begin=[999], overlap=1)
    counts: dict[int, int] = {}
    for row in rows:
        start = 0
        for example, end in zip(row.of, row.end, strict=True):
            own = [int(one) for place, one in enumerate(row.ids) if start <= place < end and place > 0]
            assert all(token // 100 == example for token in own)
            counts[example] = counts.get(example, 0) + len(own)
            start = end
        assert start == len(row.ids)
    assert counts == {0: 5, 2: 13, 3: 1}


def test_counts_of_a_text_stand_in_one_segment():
    rows = concatenated(sequences(5, 13, 30), block_size=8, begin=[999], overlap=1)
    size = dict.fromkeys(range(3), 0)
    for row in rows:
        for example, words, count in zip(row.of, row.words, row.bytes, strict=True):
            assert (words, count) in ((2, 10), (0, 0))
            size[example] += count
    assert size == {0: 10, 1: 10, 2: 10}


def test_packed_rows_count_positions_anew_and_predict_no_first_token():
    rows = packed(sequences(5, 3, 4, 8, 2), block_size=8)
    assert [len(row.ids) for row in rows] == [8, 8, 6]  # 8 | 5 + 3 | 4 + 2
    for row in rows:
        start = 0
        for end in row.end:
            assert row.positions[start:end].tolist() == list(range(end - start))
            assert row.labels[start] == IGNORED and IGNORED not in row.labels[start + 1 : end]
            start = end
    assert sorted(example for row in rows for example in row.of) == [0, 1, 2, 3, 4]


def test_what_is_longer_than_a_packed_row_is_cut_and_loses_nothing():
    rows = packed(sequences(20), block_size=8)
    found = sorted(token for row in rows for token in predicted(row))
    assert found == list(range(1, 20))
    assert sum(count for row in rows for count in row.bytes) == 10


def test_sums_are_of_each_segment():
    assert sums([1.0, 2.0, 3.0, 4.0], np.array([1, 4])).tolist() == [1.0, 9.0]
    assert sums([np.inf, 1.0], np.array([1, 2])).tolist() == [np.inf, 1.0]  # one bad segment spoils no other


def test_rows_to_be_continued_have_no_labels():
    features = made(separate(sequences(3, 4)), labelled=False)
    assert set(features.fields) == {"input_ids"} and features.kept["of"].values.tolist() == [0, 1]
