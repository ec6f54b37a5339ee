"""One label a text: what is read, refused and left out; what the answers are to a reader."""

from __future__ import annotations

import logging
import math

import numpy as np
import pyarrow as pa
import pytest

from exp.data.examples import Examples
from exp.errors import ExpError
from exp.task.base import Floors
from exp.task.one_label import OneLabelReading
from exp.task.pictures import Confusion, Scatter
from tests.reading import option, raw, rows

TEXTS = ["one", "two", "three", "four"]


def task(**changes):
    return option("task", "text_classification", **changes)


def table(label=("a", "b", "b"), text=("x", "y", "z")):
    return rows(text=list(text), label=list(label))


# ---- reading ----


def test_the_tasks_keys_win_over_the_datas_and_those_over_the_defaults() -> None:
    train = rows(text=["x", "y"], body=["p", "q"], title=["r", "s"], label=["a", "b"], stars=["1", "2"])
    source = raw(train, text_columns=["body"], label_column="stars", metrics=["accuracy", "f1"], max_length=20)
    data = task().read(source)
    assert (list(data.train.inputs), data.labels) == (["body"], ("1", "2"))
    assert (data.metrics, data.max_length) == (("accuracy", "f1"), 20)
    own = task(text_columns=["title", "body"], label_column="label", metrics=["f1_macro"], max_length=9).read(source)
    assert (list(own.train.inputs), own.labels) == (["title", "body"], ("a", "b"))
    assert (own.metrics, own.max_length) == (("f1_macro",), 9)
    bare = task().read(raw(train))
    assert (list(bare.train.inputs), bare.metrics, bare.max_length) == (["text"], ("accuracy",), 128)
    assert task().columns_of({"text_columns": ["body"]}) == ["body", "label"]


def test_label_names_fix_order_and_set() -> None:
    data = task(label_names=["b", "a"]).read(raw(table()))
    assert data.labels == ("b", "a") and data.train.targets == [1, 0, 0]
    with pytest.raises(ExpError, match=r"line 1: label 'a' .* is not in task.label_names=\[b, c\]"):
        task(label_names=["b", "c"]).read(raw(table()))


def test_names_that_come_with_indices() -> None:
    indexed = table(label=[0, 1, 1])
    assert task(label_names=["no", "yes"]).read(raw(indexed)).train.targets == [0, 1, 1]
    assert task().read(raw(indexed, label_names=["no", "yes"])).labels == ("no", "yes")
    # Names that were found are in an order of ours, which the indices of another file cannot mean.
    with pytest.raises(ExpError, match=r"label '0' .* does not occur in training"):
        task().read(raw(table(), dev=indexed))


def test_rows_without_a_label_are_left_out_of_training_and_evaluation_and_counted(caplog) -> None:
    caplog.set_level(logging.INFO)
    holey = table(label=["a", "-", "b"])
    data = task(no_label=["-"]).read(raw(holey, dev=holey, test=holey))
    assert data.labels == ("a", "b")
    for split in data.splits().values():
        assert (split.ids, split.targets, split.inputs) == ([0, 1], [0, 1], {"text": ["x", "z"]})
    assert caplog.text.count("left out 1 row without a label") == 3


def test_a_test_set_without_labels_keeps_all_its_rows() -> None:
    for cells in (["-", "-", "-"], [None, "", "-1"]):
        data = task(no_label=["-"]).read(raw(table(), test=table(label=cells)))
        assert data.tests[""].targets is None and len(data.tests[""]) == 3


def test_text_and_label_exchanged_are_found_out() -> None:
    many = rows(text=["a", "b"] * 40, label=[f"a sentence of its own, number {n}" for n in range(80)])
    with pytest.raises(ExpError, match=r"80 different labels in 80 rows; are task.text_columns .* exchanged"):
        task().read(raw(many))


def test_float_labels_are_scores_only_where_that_is_said() -> None:
    scores = table(label=[0.5, 1.0, 2.25])
    with pytest.raises(ExpError, match=r"line 1: the label 0.5 .* task.problem_type=regression"):
        task().read(raw(scores))
    data = task(problem_type="regression").read(raw(scores))
    assert data.labels is None and data.train.targets == [0.5, 1.0, 2.25]
    assert data.metrics == ("pearson", "spearmanr")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_columns": ["label"], "label_column": "label"}, "one column is named twice"),
        ({"text_columns": ["a", "a"]}, r"task.text_columns=\[a, a\] .* one column is named twice"),
        ({"label_names": ["a"]}, "give two different names or more"),
        ({"label_names": ["a", "a", "b"]}, "give two different names or more"),
        ({"label_names": ["a", "b"], "problem_type": "regression"}, "a regression has no label names"),
        ({"text_columns": ["a"], "both_orders": True}, "both_orders=true: these are single texts"),
    ],
)
def test_keys_that_contradict_are_refused(changes, message) -> None:
    with pytest.raises(ExpError, match=message):
        task(**changes)


@pytest.mark.parametrize(
    ("changes", "roles", "message"),
    [
        ({"metrics": ["acuracy"]}, {}, "no metric 'acuracy'; did you mean 'accuracy'"),
        ({"metrics": ["pearson"]}, {}, "'pearson' is for regression"),
        ({"metrics": ["accuracy"], "problem_type": "regression"}, {}, "'accuracy' is for single_label"),
        ({"metrics": ["f1"], "label_names": ["a", "b", "c"]}, {}, "the data has 3 classes; use f1_macro"),
        ({}, {"metrics": ["f1"], "label_names": ["a", "b", "c"]}, "the data has 3 classes"),
    ],
)
def test_metrics_that_do_not_fit_are_refused_before_any_row_is_read(changes, roles, message) -> None:
    with pytest.raises(ExpError, match=message):
        task(**changes).check_metrics(roles)


def test_f1_of_more_classes_than_two_is_refused_when_they_are_found() -> None:
    with pytest.raises(ExpError, match="the data has 3 classes; use f1_macro"):
        task(metrics=["f1"]).read(raw(table(label=["a", "b", "c"])))


def test_both_orders_doubles_training_only() -> None:
    pairs = rows(a=["x", "y"], b=["p", "q"], label=["no", "yes"])
    source = raw(pairs, text_columns=["a", "b"])
    twice, once = task(both_orders=True).read(source), task().read(source)
    assert twice.train.inputs == {"a": ["x", "y", "p", "q"], "b": ["p", "q", "x", "y"]}
    assert twice.train.targets == [0, 1, 0, 1] and twice.evals == once.evals
    assert twice.fingerprint != once.fingerprint
    with pytest.raises(ExpError, match="both_orders=true: these are single texts"):
        task(both_orders=True).read(raw(table()))


def test_a_cell_that_is_no_text_is_named() -> None:
    with pytest.raises(ExpError, match="line 2: column 'text' is 5, not a text"):
        task().read(raw(table(text=["x", 5, "z"])))


def test_rows_of_another_file_are_read_as_the_runs_own() -> None:
    facts = task(label_names=["a", "b"]).read(raw(table())).facts
    assert facts["inputs"] == ["text"]
    found = task().examples(table(), facts, labelled=False)
    assert (found.targets, found.inputs) == ([0, 1, 1], {"text": ["x", "y", "z"]})
    assert task().examples(rows(text=["x"]), facts, labelled=False).targets is None
    with pytest.raises(ExpError, match="has no column 'label'"):
        task().examples(rows(text=["x"]), facts, labelled=True)
    typed = task().typed(["how are you"], ["text"])
    assert task().examples(typed, facts, labelled=False).inputs == {"text": ["how are you"]}


# ---- answers ----


def classes() -> tuple[OneLabelReading, pa.Table]:
    reading = OneLabelReading(["no", "yes"], ("accuracy", "f1"))
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.0]], np.float32)
    examples = Examples([7, 8, 9, 10], {"text": TEXTS}, [0, 1, 1, 0])
    return reading, reading.decode({"logits": list(logits)}, None, examples)  # type: ignore[arg-type]


def test_the_table_is_in_the_rows_own_terms() -> None:
    _, found = classes()
    assert found.column_names == ["id", "label", "prediction", "scores", "text"]
    assert found["id"].to_pylist() == ["7", "8", "9", "10"]
    assert found["label"].to_pylist() == ["no", "yes", "yes", "no"]
    assert found["prediction"].to_pylist() == ["no", "yes", "no", "no"]
    assert found["scores"][0].as_py() == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])
    assert found["text"].to_pylist() == TEXTS


def test_an_input_column_may_have_the_name_of_one_of_ours() -> None:
    reading = OneLabelReading(None, ("pearson",))
    found = reading.decode({"logits": [np.array([0.5])]}, None, Examples([0], {"label": ["x"]}, None))  # type: ignore[arg-type]
    assert found.column_names == ["id", "label", "prediction", "scores", "input_label"]
    assert found["label"].to_pylist() == [None] and found["input_label"].to_pylist() == ["x"]


def test_the_table_alone_gives_scores_items_and_pictures() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    reading, found = classes()
    truth, guess = found["label"].to_pylist(), found["prediction"].to_pylist()
    expected = {"accuracy": accuracy_score(truth, guess), "f1": f1_score(truth, guess, pos_label="yes")}
    expected["combined_score"] = sum(expected.values()) / 2
    assert reading.score(found) == pytest.approx(expected, abs=1e-12)
    assert reading.names == ("accuracy", "f1", "combined_score")
    assert reading.item_scores(found).tolist() == [1.0, 1.0, 0.0, 1.0]
    assert reading.pictures(found) == [Confusion(["no", "yes"], [[2, 0], [1, 1]])]
    assert reading.summary(found) == "3 no, 1 yes"
    assert reading.said(found.to_pylist()[1]) == "yes  yes 0.731  no 0.269"
    header, cells = reading.flat(found)
    assert header == ["id", "label", "prediction", "score_no", "score_yes", "text"]
    assert cells[1][:3] == ["8", "yes", "yes"] and cells[1][-1] == "two"
    assert reading.tuned(found) == (reading, {}) and reading.applied(found) is found


def test_scores_of_a_regression() -> None:
    reading = OneLabelReading(None, ("pearson", "mse"))
    answers = {"logits": [np.array([value], np.float32) for value in (1.5, 2.0, 4.0)]}
    found = reading.decode(answers, None, Examples([0, 1, 2], {"text": TEXTS[:3]}, [1.0, 2.0, 4.5]))  # type: ignore[arg-type]
    assert found["prediction"].to_pylist() == [1.5, 2.0, 4.0] and found["scores"].to_pylist() == [[], [], []]
    assert reading.score(found)["mse"] == pytest.approx((0.25 + 0.25) / 3)
    assert reading.item_scores(found).tolist() == [-0.25, 0.0, -0.25]
    assert reading.pictures(found) == [Scatter([(1.0, 1.5), (2.0, 2.0), (4.5, 4.0)])]
    assert reading.summary(found) == "mean 2.5000" and reading.said(found.to_pylist()[0]) == "1.5000"


def test_what_guessing_gives() -> None:
    reading = OneLabelReading(["a", "b", "c"], ("accuracy", "matthews_correlation", "f1_macro"))
    targets = [0] * 75 + [1] * 25 + [2]
    floors = reading.chance(Examples(list(range(101)), {}, targets))
    assert floors.loss == pytest.approx(math.log(3))
    share = 75 / 101
    assert floors.metrics == {
        "accuracy": (share, pytest.approx(math.sqrt(share * (1 - share) / 101))),
        "matthews_correlation": (0.0, 0.1),
    }
    scores = OneLabelReading(None, ("pearson", "mse")).chance(Examples(list(range(101)), {}, [0.5] * 101))
    assert scores == Floors(None, {"pearson": (0.0, 0.1)})
    assert reading.chance(Examples([0], {}, None)) == Floors(None, {})
