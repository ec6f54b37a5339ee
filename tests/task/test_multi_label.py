"""Any number of labels a text: what is read and refused, the threshold, what the answers are to a reader."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from exp.data.examples import Examples
from exp.errors import ExpError
from exp.task.multi_label_reading import MultiLabelReading
from tests.reading import option, raw, rows

NAMES = ["anger", "joy", "love"]


def task(**changes):
    return option("task", "multi_label", **changes)


def table(*cells, name: str = "train.jsonl"):
    return rows(name, text=[f"text {n}" for n in range(len(cells))], labels=list(cells))


# ---- reading ----


def test_lists_of_names_become_multi_hot() -> None:
    data = task().read(raw(table(["joy", "anger"], [], ["love"], ["joy"])))
    assert data.labels == ("anger", "joy", "love")
    assert data.train.targets == [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    assert data.metrics == ("f1_micro", "f1_macro", "subset_accuracy")
    assert task().head(data).problem_type == "multi_label_classification"


@pytest.mark.parametrize(("separator", "cells"), [(",", ["joy, anger", "", "love"]), (" ", ["joy anger", " ", "love"])])
def test_texts_with_a_separator_are_lists(separator, cells) -> None:
    targets = [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert task(separator=separator).read(raw(table(*cells))).train.targets == targets
    assert task().read(raw(table(*cells), separator=separator)).train.targets == targets


def test_indices_stand_for_names_that_were_given() -> None:
    for source in (
        task(label_names=NAMES).read(raw(table([1, 0], [2]))),
        task().read(raw(table([1, 0], [2]), label_names=NAMES)),
    ):
        assert source.labels == tuple(NAMES) and source.train.targets == [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    with pytest.raises(ExpError, match="label '1' in column 'labels' is none of the 2 labels"):
        task().read(raw(table(["a"], ["b"]), dev=table([1])))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([["a", "b"], "a"], r"train.jsonl, line 2: column 'labels' holds the text 'a', no list .* task.separator=','"),
        ([["a", "b"], None], r"line 2: column 'labels' is None, no list of labels; \[\] means none"),
        ([["a", "b"], 3], r"line 2: column 'labels' is 3, no list of labels"),
        ([["a", "b"], {"a": 1}], r"line 2: column 'labels' is \{'a': 1\}, no list of labels"),
        ([["a", "b"], ["a", None]], "line 2: entry 2 of the list in column 'labels' is None, no name"),
        ([["a", "b"], [["a"]]], r"line 2: entry 1 of the list in column 'labels' is \['a'\], no name"),
        ([["a"], ["a"], []], "holds 1 different labels; two or more are needed"),
        ([[], []], "holds 0 different labels"),
    ],
)
def test_what_is_no_list_of_labels_is_refused_with_its_place(cells, message) -> None:
    with pytest.raises(ExpError, match=message):
        task().read(raw(table(*cells)))


def test_a_label_that_training_lacks_is_named() -> None:
    with pytest.raises(ExpError, match=r"dev.jsonl, line 2: label 'jou' .* none of the 2 labels; did you mean 'joy'"):
        task().read(raw(table(["joy"], ["love"]), dev=table(["joy"], ["jou"], name="dev.jsonl")))


def test_near_twins_are_said(caplog) -> None:
    task().read(raw(table(["joy"], ["Joy"], ["love"])))
    assert "labels 'Joy' (1 row) and 'joy' (1 row) in column 'labels' are different classes" in caplog.text


def test_a_test_set_may_have_no_labels() -> None:
    data = task().read(raw(table(["a"], ["b"]), test=rows(text=["x", "y"])))
    assert data.tests[""].targets is None
    assert task().read(raw(table(["a"], ["b"]), test=table(None, ""))).tests[""].targets is None
    # Rows without any label are labelled all the same.
    assert task().read(raw(table(["a"], ["b"]), test=table([], []))).tests[""].targets == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_columns": ["labels"], "labels_column": "labels"}, "is one of task.text_columns too"),
        ({"separator": ""}, "task.separator is empty"),
        ({"label_names": ["a", "a"]}, "two different names"),
    ],
)
def test_keys_that_contradict_are_refused(changes, message) -> None:
    with pytest.raises(ExpError, match=message):
        task(**changes)


def test_metrics_of_one_label_a_text_are_refused() -> None:
    with pytest.raises(ExpError, match=r"'accuracy' is for single_label .* this task is multi_label"):
        task(metrics=["accuracy"]).check_metrics({})


def test_goemotions_as_its_authors_give_it(shared_data) -> None:
    (folder,) = {file.parent for file in (shared_data / "multi-label").rglob("dev.tsv*")}
    source = option("data", "goemotions", path=str(folder), max_train_samples=2000, max_eval_samples=500)
    data = task().read(source.read())
    assert len(data.labels) == 28 and data.labels[-1] == "neutral" and data.max_length == 64
    assert (len(data.train), len(data.evals[""]), len(data.tests[""])) == (2000, 500, 500)
    sizes = {sum(row) for row in data.train.targets}
    assert 1.0 in sizes and 2.0 in sizes and 0.0 not in sizes


# ---- answers ----


def answers(reading: MultiLabelReading) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, (40, 3))
    logits = (2.0 * truth - 2.0 + generator.normal(0, 1, (40, 3))).astype(np.float32)  # too careful: 0.5 is too high
    examples = Examples(list(range(40)), {"text": [f"t{n}" for n in range(40)]}, truth.astype(float).tolist())
    return reading.decode({"logits": list(logits)}, None, examples), truth, logits  # type: ignore[arg-type]


def test_scores_equal_scikit_learns() -> None:
    from sklearn.metrics import accuracy_score, average_precision_score, f1_score

    metrics = ("f1_micro", "f1_macro", "f1_samples", "subset_accuracy", "average_precision", "hamming_loss")
    reading = MultiLabelReading(NAMES, metrics, 0.5, False)
    found, truth, logits = answers(reading)
    guess = (logits >= 0).astype(int)
    scores = 1 / (1 + np.exp(-logits.astype("float64")))
    measured = reading.score(found)
    for name in ("micro", "macro", "samples"):
        expected = f1_score(truth, guess, average=name, zero_division=0)
        assert measured[f"f1_{name}"] == pytest.approx(expected, abs=1e-12)
    assert measured["subset_accuracy"] == pytest.approx(accuracy_score(truth, guess), abs=1e-12)
    assert measured["average_precision"] == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert measured["hamming_loss"] == pytest.approx((truth != guess).mean(), abs=1e-12)
    assert reading.item_scores(found).tolist() == (truth == guess).all(axis=1).astype(float).tolist()
    assert reading.names == metrics


def test_the_threshold_is_tuned_on_the_primary_metric() -> None:
    from sklearn.metrics import f1_score

    reading = MultiLabelReading(NAMES, ("f1_micro", "f1_macro"), 0.5, True)
    found, truth, logits = answers(reading)
    tuned, values = reading.tuned(found)
    scores = 1 / (1 + np.exp(-logits.astype("float64")))
    grid = {round(0.05 * step, 2): None for step in range(1, 20)}
    by_hand = {at: f1_score(truth, scores >= at, average="micro", zero_division=0) for at in grid}
    assert values == {"threshold": tuned.threshold} and tuned.threshold < 0.5
    assert by_hand[tuned.threshold] == max(by_hand.values()) > by_hand[0.5]
    again = tuned.applied(found)
    assert tuned.score(again)["f1_micro"] == pytest.approx(max(by_hand.values()), abs=1e-12)
    assert again["prediction"].to_pylist() != found["prediction"].to_pylist()
    assert [again[name] for name in ("id", "label", "scores", "text")] == [
        found[name] for name in ("id", "label", "scores", "text")
    ]


def test_of_equal_thresholds_the_nearest_to_a_half_is_taken_and_errors_are_made_small() -> None:
    reading = MultiLabelReading(["a", "b"], ("hamming_loss",), 0.3, True)
    logits = [np.array([9.0, -9.0]), np.array([-9.0, 9.0])]
    found = reading.decode({"logits": logits}, None, Examples([0, 1], {"text": ["x", "y"]}, [[1.0, 0.0], [0.0, 1.0]]))  # type: ignore[arg-type]
    assert reading.tuned(found)[1] == {"threshold": 0.5}


def test_nothing_is_tuned_where_nobody_asked_or_there_are_no_labels() -> None:
    fixed = MultiLabelReading(NAMES, ("f1_micro",), 0.4, False)
    found, _, _ = answers(fixed)
    assert fixed.tuned(found) == (fixed, {})
    asked = MultiLabelReading(NAMES, ("f1_micro",), 0.4, True)
    unlabelled = found.set_column(1, "label", pa.nulls(len(found), pa.list_(pa.string())))
    assert asked.tuned(unlabelled) == (asked, {"threshold": 0.4})


def test_a_reading_takes_the_threshold_that_was_recorded() -> None:
    facts = {"label_names": NAMES, "metrics": ["f1_micro"]}
    assert task().reading(facts).threshold == 0.5
    assert task(tune_threshold=True).reading({**facts, "tuned": {"threshold": 0.15}}).threshold == 0.15


def test_a_run_records_the_threshold_and_measures_with_it(tmp_path) -> None:
    import pyarrow.parquet as pq

    from exp.run.folder import read_record
    from exp.task import reading_of
    from exp.testing.loops import run_loop
    from tests.conformance.task_data import multi_label

    recorder, _, _, run = run_loop(tmp_path / "run", *multi_label(tmp_path / "data"), "num_train_epochs=1")
    record = read_record(run.folder)
    threshold = record["data"]["tuned"]["threshold"]
    reading = reading_of(run.config, record["data"])
    assert reading.threshold == threshold and 0.05 <= threshold <= 0.95
    found = pq.read_table(run.predictions / "eval.parquet")
    assert reading.applied(found) == found
    assert reading.score(found)["f1_micro"] == {key: value for _, key, value in recorder.events}["eval/f1_micro"]


def test_what_guessing_gives() -> None:
    targets = [[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    floors = MultiLabelReading(["a", "b"], ("f1_micro", "subset_accuracy", "f1_macro"), 0.5, False).chance(
        Examples([0, 1, 2, 3], {}, targets)
    )
    assert floors.loss == pytest.approx(math.log(2))
    assert floors.metrics["subset_accuracy"][0] == 0.5  # always {a}
    assert floors.metrics["f1_micro"][0] == pytest.approx(2 * 3 / (4 + 4))  # 3 hits, 4 predicted, 4 given
    assert set(floors.metrics) == {"f1_micro", "subset_accuracy"}


def test_rows_for_csv_and_for_people() -> None:
    reading = MultiLabelReading(["a", "b"], ("f1_micro",), 0.5, False)
    logits = [np.array([2.0, 1.0]), np.array([-2.0, -1.0])]
    found = reading.decode({"logits": logits}, None, Examples([0, 1], {"text": ["x", "y"]}, [[1.0, 1.0], [0.0, 0.0]]))  # type: ignore[arg-type]
    header, cells = reading.flat(found)
    assert header == ["id", "label", "prediction", "score_a", "score_b", "text"]
    assert cells[0][:3] == ["0", "a | b", "a | b"] and cells[1][:3] == ["1", "", ""]
    assert reading.said(found.to_pylist()[0]) == "a, b  a 0.881  b 0.731"
    assert reading.said(found.to_pylist()[1]).startswith("-  b 0.269")
    assert reading.summary(found) == "1 a, 1 b" and reading.pictures(found) == []
