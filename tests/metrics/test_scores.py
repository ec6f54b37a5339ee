"""The values of all metrics, against formulas written out and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exp.errors import ExpError
from exp.metrics import compute, names
from exp.metrics.scores import by_class

CLASSES = st.integers(1, 5).flatmap(
    lambda count: st.lists(st.tuples(st.integers(0, count), st.integers(0, count)), min_size=1, max_size=60)
)
# Quarters give ties, and sums that are not all equal.
FLOATS = st.lists(
    st.tuples(st.integers(-40, 40).map(lambda value: value / 4), st.floats(-10, 10, width=32)), min_size=2, max_size=60
)
CONSTANT, MIXED = [1, 1, 1, 1], [0, 1, 0, 1]


def one(name, kind, predictions, references, scores=None):
    return compute([name], kind, predictions, references, scores)[name]


def f1_of(label, predictions, references):
    hits = int(np.sum((predictions == label) & (references == label)))
    either = int(np.sum(predictions == label)) + int(np.sum(references == label))
    return 2 * hits / either if either else 0.0


@settings(deadline=None)
@given(CLASSES)
def test_classes_equal_the_formulas(pairs):
    predictions, references = np.array(pairs).T
    classes = np.union1d(predictions, references)
    found = compute(
        ["accuracy", "f1_macro", "f1_micro", "matthews_correlation"], "single_label", predictions, references
    )
    assert found["accuracy"] == found["f1_micro"] == pytest.approx(np.mean(predictions == references), abs=1e-12)
    each = [f1_of(label, predictions, references) for label in classes]
    assert found["f1_macro"] == pytest.approx(np.mean(each), abs=1e-12)
    told = by_class("single_label", predictions, references)
    assert told == pytest.approx(dict(zip(map(str, classes), each, strict=True)), abs=1e-12)
    # Gorodkin's R_K, as a correlation of one-hot answers.
    x, y = (np.eye(6)[codes] - np.eye(6)[codes].mean(axis=0) for codes in (predictions, references))
    spread = math.sqrt((x * x).sum() * (y * y).sum())
    assert found["matthews_correlation"] == pytest.approx((x * y).sum() / spread if spread > 1e-9 else 0.0, abs=1e-9)


@settings(deadline=None)
@given(FLOATS)
def test_numbers_equal_the_formulas(pairs):
    predictions, references = np.array(pairs, dtype=np.float64).T
    errors = predictions - references
    found = compute(["mse", "rmse", "mae"], "regression", predictions, references)
    expected = {"mse": np.mean(errors**2), "rmse": np.sqrt(np.mean(errors**2)), "mae": np.mean(np.abs(errors))}
    assert found == pytest.approx(expected, abs=1e-12)
    # Below this spread double precision itself leaves fewer than twelve digits.
    assume(predictions.std() > 1e-2 and references.std() > 1e-2)
    found = compute(["pearson", "r2"], "regression", predictions, references)
    assert found["pearson"] == pytest.approx(np.corrcoef(predictions, references)[0, 1], abs=1e-12)
    assert found["r2"] == pytest.approx(1 - np.mean(errors**2) / references.var(), rel=1e-9)


def test_scores_of_two_classes_by_hand():
    references = [1, 1, 1, 0, 0]
    scores = [[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.8, 0.2]]
    metrics = ["f1", "precision", "recall", "balanced_accuracy", "cohen_kappa", "roc_auc", "brier", "log_loss"]
    found = compute(metrics, "single_label", [1, 1, 0, 0, 0], references, scores)
    assert found == pytest.approx(
        {
            "f1": 0.8,
            "precision": 1.0,
            "recall": 2 / 3,
            "balanced_accuracy": 5 / 6,
            "cohen_kappa": (0.8 - 0.48) / 0.52,
            "roc_auc": 5 / 6,  # of six pairs one is the wrong way round
            "brier": (0.01 + 0.04 + 0.49 + 0.16 + 0.04) / 5,
            "log_loss": -math.log(0.9 * 0.8 * 0.3 * 0.6 * 0.8) / 5,
        },
        abs=1e-12,
    )
    assert "combined_score" not in found


def test_scores_of_three_classes_by_hand():
    scores = [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]]
    found = compute(["roc_auc", "brier", "f1_weighted"], "single_label", [0, 0, 2, 1], [0, 1, 2, 1], scores)
    assert found["roc_auc"] == pytest.approx(1.0)
    assert found["brier"] == pytest.approx((0.26 + 0.62 + 0.24 + 0.06) / 4)  # sums over the classes
    assert found["f1_weighted"] == pytest.approx((2 / 3 + 2 * 2 / 3 + 1) / 4)


def test_roc_auc_leaves_out_what_has_no_curve():
    """Class 2 does not occur among the answers."""
    scores = [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]]
    assert one("roc_auc", "single_label", [0, 0, 1], [0, 1, 1], scores) == pytest.approx((1.0 + 1.0) / 2)
    multi = one("roc_auc", "multi_label", [[1, 0], [0, 0]], [[1, 0], [0, 0]], [[0.9, 0.3], [0.2, 0.6]])
    assert multi == 1.0


def test_multi_label_by_hand():
    references = [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    predictions = [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    scores = [[0.9, 0.4, 0.1], [0.2, 0.8, 0.6], [0.1, 0.6, 0.3]]
    metrics = ["f1_micro", "f1_macro", "f1_samples", "subset_accuracy", "hamming_loss", "average_precision"]
    found = compute(metrics, "multi_label", predictions, references, scores)
    assert found == pytest.approx(
        {
            "f1_micro": 2 * 2 / (3 + 3),
            "f1_macro": (1 + 2 / 3 + 0) / 3,
            "f1_samples": (2 / 3 + 2 / 3 + 0) / 3,  # a row without labels is not defined: 0
            "subset_accuracy": 1 / 3,
            "hamming_loss": 2 / 9,
            "average_precision": (1 + (1 + 2 / 3) / 2 + 0) / 3,
        },
        abs=1e-12,
    )
    told = by_class("multi_label", predictions, references, ["joy", "fear", "anger"])
    assert told == pytest.approx({"joy": 1.0, "fear": 2 / 3, "anger": 0.0})


def test_entities_are_strict():
    references = [["B-person", "I-person", "O", "B-group"], [], ["B-person", "B-person", "O"]]
    predictions = [["B-person", "O", "O", "B-group"], [], ["B-person", "I-person", "I-group"]]
    metrics = ["entity_precision", "entity_recall", "entity_f1", "accuracy"]
    found = compute(metrics, "tags", predictions, references)
    # Of three predicted and four given entities one is right; an I- that nothing begins is none.
    assert found == pytest.approx(
        {"entity_precision": 1 / 3, "entity_recall": 1 / 4, "entity_f1": 2 / 7, "accuracy": 4 / 7}, abs=1e-12
    )
    assert by_class("tags", predictions, references) == pytest.approx({"group": 1.0, "person": 0.0})


def test_plain_tags_have_an_accuracy_and_no_entities():
    rows = [["NOUN", "VERB"], ["DET"]]
    assert compute(["accuracy"], "tags", [["NOUN", "NOUN"], ["DET"]], rows) == {"accuracy": pytest.approx(2 / 3)}
    assert by_class("tags", [["NOUN", "NOUN"], ["DET"]], rows) == pytest.approx({"DET": 1, "NOUN": 2 / 3, "VERB": 0})
    with pytest.raises(ExpError, match=r"'NOUN' is not IOB2.*task.metrics=\[accuracy\]"):
        compute(["entity_f1"], "tags", rows, rows)


@pytest.mark.parametrize("name", [name for name, spec in names.METRICS.items() if "single_label" in spec.kinds])
@pytest.mark.parametrize("predictions", [[0, 0], [1, 1], [0, 1], [1, 0]])
@pytest.mark.parametrize("references", [[0, 0], [1, 1], [1, 0]])
def test_few_rows_give_a_finite_score_in_range(name, predictions, references):
    found = one(name, "single_label", predictions, references, np.eye(2)[predictions])
    assert math.isfinite(found) and names.METRICS[name].lowest <= found <= names.METRICS[name].highest


def test_what_is_not_defined_is_zero():
    for name in ("matthews_correlation", "cohen_kappa"):
        assert one(name, "single_label", CONSTANT, MIXED) == 0.0, name
        assert one(name, "single_label", CONSTANT, CONSTANT) == 0.0, name
    for name in ("f1", "precision", "recall"):
        assert one(name, "single_label", [0, 0], [0, 0]) == 0.0, name
    for name in ("pearson", "spearmanr", "kendall"):
        assert one(name, "regression", CONSTANT, MIXED) == one(name, "regression", MIXED, CONSTANT) == 0.0, name
        assert one(name, "regression", [2.0], [3.0]) == 0.0, name
    assert one("r2", "regression", [2.0], [3.0]) == 0.0
    assert one("roc_auc", "single_label", [1, 1], [1, 1], [[0.1, 0.9], [0.2, 0.8]]) == 0.5
    assert one("average_precision", "multi_label", [[0, 0]], [[0, 0]], [[0.5, 0.1]]) == 0.0
    for name in ("entity_f1", "entity_precision", "entity_recall"):
        assert one(name, "tags", [["O"], []], [["O"], []]) == 0.0, name
    assert one("accuracy", "tags", [[]], [[]]) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_not_hidden(bad):
    for name in (name for name, spec in names.METRICS.items() if "regression" in spec.kinds):
        assert math.isnan(one(name, "regression", [1.0, bad, 2.0, 3.0], MIXED)), name
    scores = [[0.4, 0.6], [bad, 0.5]]
    for name in ("roc_auc", "brier", "log_loss"):
        assert math.isnan(one(name, "single_label", [1, 1], [1, 0], scores)), name
    assert math.isnan(one("average_precision", "multi_label", [[1, 0], [1, 0]], [[1, 0], [0, 1]], scores))


def test_millions_of_rows_and_any_scale():
    references = np.arange(4_000_000) % 2
    assert one("matthews_correlation", "single_label", references, references) == 1.0
    x = np.array([1.0, 2.0, 4.0, 3.0])
    for scale in (1e200, 1e-200):
        assert one("pearson", "regression", x * scale, x[::-1]) == pytest.approx(
            one("pearson", "regression", x, x[::-1]), abs=1e-12
        )


def test_f1_of_three_classes_names_the_mend():
    for name in ("f1", "precision", "recall"):
        with pytest.raises(ExpError, match=f"'{name}' .*{name}_macro"):
            one(name, "single_label", [0, 1, 2], [0, 1, 1])


def test_class_names_are_taken_by_the_list_of_labels():
    labels = ["no", "yes"]
    found = compute(["f1"], "single_label", ["yes", "no", "yes"], ["yes", "yes", "no"], labels=labels)
    assert found == {"f1": pytest.approx(0.5)}
    assert by_class("single_label", ["no"], ["no"], labels) == {"no": 1.0, "yes": 0.0}
    with pytest.raises(ExpError, match="class 'maybe' is none of the labels: no, yes"):
        compute(["f1"], "single_label", ["maybe"], ["yes"], labels=labels)


def test_no_rows():
    with pytest.raises(ExpError, match="no rows"):
        compute(["accuracy"], "single_label", [], [])


def test_glue_pairs_have_their_mean():
    found = compute(["accuracy", "f1"], "single_label", [1, 0, 1, 1, 0], [1, 0, 0, 1, 1])
    assert found == pytest.approx({"accuracy": 0.6, "f1": 2 / 3, "combined_score": (0.6 + 2 / 3) / 2})
    assert tuple(found) == names.produced(["accuracy", "f1"], "single_label")
