from __future__ import annotations

import pytest

from exp.data import leakage
from exp.data.examples import Examples, TaskData


def split(texts, labels=None, **columns):
    return Examples(list(range(len(texts))), {"text": texts, **columns}, labels)


def data(train, **evals):
    return TaskData("toy", train, {"": evals.pop("dev")}, {"": evals["test"]}, ("no", "yes"), ("accuracy",), 8, "")


TRAIN = split(["a fine soup", "a bad soup", "a bad soup", "tea"], [1, 0, 1, 1])


def test_rows_of_other_splits_that_stand_in_train():
    dev = split(["a fine soup", "a bad soup", "A fine soup!", "tea"], [1, 0, 1, 0])
    found = leakage.exact(data(TRAIN, dev=dev, test=split(["tea", "new"])))
    assert found["eval"].rows == (0, 1, 3) and found["eval"].same_label == 2  # tea has another label
    assert found["test"].facts() == {"rows": 2, "in_train": 1, "with_the_same_label": None}
    said = leakage.line(found)
    assert said == "leakage: 3 of 4 eval rows stand in train, 2 with the same label; 1 of 2 test rows stand in train"
    loose = leakage.normalised(data(TRAIN, dev=dev, test=split(["tea"])))
    assert loose["eval"].rows == (0, 1, 2, 3)


def test_all_inputs_have_to_agree_and_words_are_inputs():
    pair = split(["a"], [1], second=["b"])
    assert leakage.exact(data(pair, dev=split(["a"], [1], second=["c"]), test=pair))["eval"].rows == ()
    words = split([["a", "b"]], [[0, 1]])
    other = split([["a", "b"], ["a b"]], [[0, 1], [0]])
    assert leakage.exact(data(words, dev=other, test=words))["eval"].rows == (0,)
    assert leakage.line(leakage.exact(data(words, dev=split([["c"]]), test=split([["d"]])))) == (
        "leakage: none of 1 eval rows; none of 1 test rows"
    )


def test_a_paragraph_leaks_though_no_row_is_the_same():
    train, dev = (
        split(texts, paragraph=about) for texts, about in ((["a", "b"], ["p", "p"]), (["c", "d"], ["p", "q"]))
    )
    assert leakage.columns(data(train, dev=dev, test=dev))["eval"] == {"text": (0, 0), "paragraph": (1, 1)}
    assert leakage.columns(data(TRAIN, dev=TRAIN, test=TRAIN)) == {}


def test_near_duplicates():
    pytest.importorskip("datasketch")
    long = " ".join(f"word{number}" for number in range(60))
    train = split([long, "something else that is short", "tea"])
    dev = split([long.replace("word59", "other"), long.upper(), "tea", "something new that is not there at all"])
    [(row, at, share)] = leakage.near(data(train, dev=dev, test=dev))["eval"]  # what is equal is no near duplicate
    assert (row, at) == (0, 0) and 0.9 < share < 1.0
