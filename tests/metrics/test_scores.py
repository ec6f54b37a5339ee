from __future__ import annotations

import math
import multiprocessing

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exp.errors import ExpError
from exp.metrics import build, names, scores

CLASSES = st.integers(1, 5).flatmap(
    lambda count: st.lists(st.tuples(st.integers(0, count), st.integers(0, count)), min_size=1, max_size=60)
)
BINARY = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60)
# Quarters give ties, and sums that are not all equal.
FLOATS = st.lists(
    st.tuples(st.integers(-40, 40).map(lambda value: value / 4), st.floats(-10, 10, width=32)),
    min_size=2,
    max_size=60,
)


def arrays(pairs, kind=np.int64):
    return np.array([a for a, _ in pairs], dtype=kind), np.array([b for _, b in pairs], dtype=kind)


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(deadline=None)
@given(CLASSES)
def test_accuracy_macro_f1_and_matthews_equal_scikit_learn(pairs) -> None:
    from sklearn import metrics

    predictions, references = arrays(pairs)
    reference = {
        "accuracy": metrics.accuracy_score(references, predictions),
        "f1_macro": metrics.f1_score(references, predictions, average="macro", zero_division=0.0),
        "matthews_correlation": metrics.matthews_corrcoef(references, predictions),
    }
    for name, value in reference.items():
        assert scores.SCORES[name](predictions, references) == pytest.approx(value, abs=1e-12), name


@settings(deadline=None)
@given(BINARY)
def test_f1_equals_scikit_learn(pairs) -> None:
    from sklearn.metrics import f1_score

    predictions, references = arrays(pairs)
    assert scores.f1(predictions, references) == pytest.approx(
        f1_score(references, predictions, zero_division=0.0), abs=1e-12
    )


@settings(deadline=None)
@given(FLOATS)
def test_correlations_and_error_equal_scipy(pairs) -> None:
    from scipy import stats

    predictions, references = arrays(pairs, np.float64)
    assert scores.mse(predictions, references) == pytest.approx(
        float(np.mean((predictions - references) ** 2)), abs=1e-12
    )
    # Below this spread double precision itself leaves fewer than twelve digits.
    assume(predictions.std() > 1e-2 and references.std() > 1e-2)
    assert scores.pearson(predictions, references) == pytest.approx(
        stats.pearsonr(predictions, references).statistic, abs=1e-12
    )
    assert scores.spearmanr(predictions, references) == pytest.approx(
        stats.spearmanr(predictions, references).statistic, abs=1e-12
    )


def test_what_is_not_defined_is_zero_and_nan_is_not_hidden() -> None:
    same, mixed = np.array([1, 1, 1, 1]), np.array([0, 1, 0, 1])
    assert scores.matthews_correlation(same, mixed) == 0.0
    assert scores.f1(np.zeros(4, dtype=int), np.zeros(4, dtype=int)) == 0.0
    assert scores.pearson(same * 1.0, mixed * 1.0) == scores.spearmanr(same * 1.0, mixed * 1.0) == 0.0
    assert scores.pearson(np.array([2.0]), np.array([3.0])) == 0.0
    broken = np.array([1.0, np.nan, 2.0, 3.0])
    for name in ("pearson", "spearmanr", "mse"):
        assert math.isnan(scores.SCORES[name](broken, mixed * 1.0)), name


def test_matthews_does_not_overflow_and_pearson_is_scale_free() -> None:
    rows = 4_000_000
    references = np.arange(rows) % 2
    assert scores.matthews_correlation(references, references) == 1.0
    x = np.array([1.0, 2.0, 4.0, 3.0])
    for scale in (1e200, 1e-200):
        assert scores.pearson(x * scale, x[::-1]) == pytest.approx(scores.pearson(x, x[::-1]), abs=1e-12)


def test_f1_of_three_classes_names_the_mend() -> None:
    with pytest.raises(ExpError, match="f1_macro"):
        scores.f1(np.array([0, 1, 2]), np.array([0, 1, 1]))


def test_batches_add_up_and_compute_empties() -> None:
    metric = build(["accuracy", "f1"])
    predictions, references = np.array([1, 0, 1, 1, 0]), np.array([1, 0, 0, 1, 1])
    for rows in (slice(0, 2), slice(2, 4), slice(4, 5)):
        metric.add_batch(predictions=predictions[rows], references=references[rows])
    result = metric.compute()
    assert result == pytest.approx({"accuracy": 0.6, "f1": 2 / 3, "combined_score": (0.6 + 2 / 3) / 2})
    assert tuple(result) == names.produced(["accuracy", "f1"])
    metric.add_batch(predictions=np.array([1]), references=np.array([1]))
    assert metric.compute()["accuracy"] == 1.0


def test_floats_keep_their_digits() -> None:
    metric = build(["mse"])
    metric.add_batch(predictions=np.array([0.1, 0.2]), references=np.array([0.3, 0.7]))
    assert metric.compute() == {"mse": pytest.approx(0.145, abs=1e-15)}


def test_glue_mapping_gives_glue_keys() -> None:
    assert {task: names.produced(metrics) for task, metrics in names.GLUE.items()} == {
        "cola": ("matthews_correlation",),
        "sst2": ("accuracy",),
        "mrpc": ("accuracy", "f1", "combined_score"),
        "stsb": ("pearson", "spearmanr", "combined_score"),
        "qqp": ("accuracy", "f1", "combined_score"),
        "mnli": ("accuracy",),
        "qnli": ("accuracy",),
        "rte": ("accuracy",),
        "wnli": ("accuracy",),
    }
    assert names.produced(["mse", "pearson"]) == ("mse", "pearson")


def test_every_named_metric_has_its_arithmetic() -> None:
    assert set(names.METRICS) == set(scores.SCORES)


@pytest.mark.parametrize(
    ("given_names", "regression", "message"),
    [
        ([], False, "empty"),
        (["acuracy"], False, "'accuracy'"),
        (["accuracy"], True, "classes, and this is regression"),
        (["accuracy", "pearson"], False, "use one of"),
        (["f1", "f1"], False, "twice"),
    ],
)
def test_names_that_do_not_fit_are_refused(given_names, regression, message) -> None:
    with pytest.raises(ExpError, match=message):
        names.check(given_names, regression)


def _evaluate(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    metric = build(["accuracy", "f1"])
    for _ in range(20):
        references = rng.integers(0, 2, 8)
        metric.add_batch(predictions=references, references=references)
    return metric.compute()


def test_eight_processes_do_not_disturb_each_other() -> None:
    build(["accuracy"])  # imports once, before the fork
    with multiprocessing.get_context("fork").Pool(8) as pool:
        results = pool.map(_evaluate, range(8), chunksize=1)
    assert results == [{"accuracy": 1.0, "f1": 1.0, "combined_score": 1.0}] * 8
