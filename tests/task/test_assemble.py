"""Shares, samples, fingerprints and ids, whatever the task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exp.data.base import Fold, HoldOut
from exp.data.examples import Examples, TaskData
from exp.errors import ExpError
from exp.task.assemble import Splits, assemble, carve, fingerprint, ids_of, sample, warn_of_blanks
from tests.reading import raw, rows


def examples(count: int = 10) -> Examples:
    return Examples(list(range(count)), {"text": [f"t{n}" for n in range(count)]}, [n % 2 for n in range(count)])


def test_every_stratum_gives_the_same_share() -> None:
    strata = ["a"] * 60 + ["b"] * 30 + ["c"] * 10 + ["single"]
    kept, held_out = carve(strata, 101, 0.2, 13)
    assert sorted([*kept, *held_out]) == list(range(101)) and held_out == sorted(held_out)
    counts = {name: sum(strata[row] == name for row in held_out) for name in set(strata)}
    assert counts == {"a": 12, "b": 6, "c": 2, "single": 0}
    assert carve(strata, 101, 0.2, 13) == (kept, held_out) != carve(strata, 101, 0.2, 14)


def test_a_share_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ExpError, match=r"validation_share=0.1 of 4 rows leaves no row to validate on; |: raise it"):
        carve(None, 4, 0.1, 13)
    with pytest.raises(ExpError, match=r"the 3 labels have 1 rows at most"):
        carve(["a", "b", "c"], 3, 0.5, 13)


def test_samples_are_nested_in_order_and_of_every_class() -> None:
    ids = list(range(1000))
    small, large = sample(ids, 50), sample(ids, 200)
    assert small == sorted(small) and set(small) < set(large) and len(small) == 50
    assert sample(ids, None) == sample(ids, 1000) == ids
    assert min(small) < 200 and max(small) > 800  # a file sorted by label still gives every class


def test_a_held_out_share_is_of_the_train_rows() -> None:
    source = replace(raw(rows(x=[1])), hold_out=HoldOut(0.2, 13), max_train_samples=5, max_eval_samples=1)
    data = assemble(source, Splits(examples(), {}, {}), labels=["a", "b"], metrics=["accuracy"], max_length=9)
    assert (len(data.train), len(data.evals[""])) == (5, 1)
    assert not set(data.train.ids) & set(data.evals[""].ids)
    assert (data.name, data.labels, data.metrics, data.max_length) == ("toy", ("a", "b"), ("accuracy",), 9)


def test_an_empty_split_is_named() -> None:
    empty = Examples([], {"text": []}, [])
    with pytest.raises(ExpError, match="the test_mm split has no rows"):
        assemble(raw(rows(x=[1])), Splits(examples(), {"": examples()}, {"mm": empty}), metrics=[], max_length=9)


def test_the_fingerprint_is_of_contents() -> None:
    one = examples()
    base = fingerprint({"train": one}, ["a", "b"])
    assert fingerprint({"train": replace(one, ids=[f"k{n}" for n in range(10)])}, ["a", "b"]) == base
    assert fingerprint({"train": replace(one, inputs={"other": one.inputs["text"]})}, ["a", "b"]) == base
    changes = [
        ({"train": replace(one, targets=[1, *one.targets[1:]])}, ["a", "b"]),
        ({"train": replace(one, targets=None)}, ["a", "b"]),
        ({"train": replace(one, inputs={"text": ["t", *one.inputs["text"][1:]]})}, ["a", "b"]),
        ({"train": one, "eval": one}, ["a", "b"]),
        ({"train": one}, ["b", "a"]),
    ]
    assert len({base, *(fingerprint(*change) for change in changes)}) == 6
    # A word that moves from one cell to the next is another text.
    moved = [{"text": ["ab", "c"]}, {"text": ["a", "bc"]}]
    assert len({fingerprint({"train": Examples([0, 1], inputs, None)}, None) for inputs in moved}) == 2


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        ([3, 1], [3, 1]),
        (["a", "b"], ["a", "b"]),
        ([1, "a"], ["1", "a"]),
        ([2**63, 1], [str(2**63), "1"]),  # more than a column of integers holds
        ([True, 2], ["True", "2"]),
    ],
)
def test_ids_are_numbers_where_all_are(cells, ids) -> None:
    assert ids_of(rows(key=cells), "key") == ids
    assert ids_of(rows(key=cells), None) == [0, 1]


def test_ids_that_are_missing_or_doubled_are_named() -> None:
    with pytest.raises(ExpError, match="line 2: no id in column 'key'"):
        ids_of(rows(key=["a", None]), "key")
    with pytest.raises(ExpError, match=r"line 3: id 1 stands in train.jsonl, line 1 too"):
        ids_of(rows(key=["1", "b", 1]), "key")
    with pytest.raises(ExpError, match=r"id 'x{50,60}\.\.\. stands in"):
        ids_of(rows(key=["x" * 20_000] * 2), "key")


def test_rows_without_a_text_are_said(caplog: pytest.LogCaptureFixture) -> None:
    train = Examples([0, 1, 2], {"a": ["", "x", " "], "b": [" ", "", "y"]}, [0, 1, 0])
    warn_of_blanks(TaskData("toy", train, {}, {}, ("no", "yes"), ("accuracy",), 8, "", {}))
    assert caplog.messages == ["train split: no text in 1 of 3 rows"]


def test_a_fold_in_place_of_the_sources_own_set_is_said(caplog: pytest.LogCaptureFixture) -> None:
    made = examples()
    source = replace(raw(rows(text=list("abcdefghij"))), fold=Fold(1, 5, 0), evals={"": rows(text=["x"])})
    with caplog.at_level("INFO"):
        assemble(source, Splits(made, {"": examples(1)}, {}), metrics=("accuracy",), max_length=8)
    assert "evaluated on fold 1 of the training rows; the source's own evaluation rows are not used" in caplog.text
