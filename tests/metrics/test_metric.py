"""The metrics behind evaluate's interface: rows in batches, then one computation."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from exp.errors import ExpError
from exp.metrics import build, compute, names


def test_batches_add_up_and_compute_empties():
    metric = build(["accuracy", "f1"])
    predictions, references = np.array([1, 0, 1, 1, 0]), np.array([1, 0, 0, 1, 1])
    for rows in (slice(0, 2), slice(2, 4), slice(4, 5)):
        metric.add_batch(predictions=predictions[rows], references=references[rows])
    result = metric.compute()
    assert result == compute(["accuracy", "f1"], "single_label", predictions, references)
    assert tuple(result) == names.produced(["accuracy", "f1"], "single_label")
    metric.add_batch(predictions=np.array([1]), references=np.array([1]))
    assert metric.compute()["accuracy"] == 1.0


def test_floats_keep_their_digits():
    metric = build(["mse"])
    metric.add_batch(predictions=np.array([0.1, 0.2]), references=np.array([0.3, 0.7]))
    assert metric.compute() == {"mse": pytest.approx(0.145, abs=1e-15)}


@pytest.mark.parametrize(
    ("metrics", "kind", "predictions", "references", "scores"),
    [
        (["roc_auc"], "single_label", [1, 0, 1], [1, 0, 0], [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]),
        (["f1_micro"], "multi_label", [[1, 0], [0, 1], [1, 1]], [[1, 0], [0, 0], [1, 1]], None),
        (["average_precision"], "multi_label", [[1, 0], [0, 1]], [[1, 0], [0, 0]], [[0.8, 0.1], [0.4, 0.9]]),
        (["entity_f1", "accuracy"], "tags", [["B-a", "O"], []], [["B-a", "B-b"], []], None),
    ],
)
def test_every_kind_of_answers(metrics, kind, predictions, references, scores):
    metric = build(metrics, kind)
    for at in range(len(references)):
        rows = slice(at, at + 1)
        more = {} if scores is None else {"scores": scores[rows]}
        metric.add_batch(predictions=predictions[rows], references=references[rows], **more)
    assert metric.compute() == compute(metrics, kind, predictions, references, scores)


def test_metrics_of_two_kinds():
    with pytest.raises(ExpError, match="'pearson' is for regression"):
        build(["accuracy", "pearson"])


def _evaluate(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    metric = build(["accuracy", "f1"])
    for _ in range(20):
        references = rng.integers(0, 2, 8)
        metric.add_batch(predictions=references, references=references)
    return metric.compute()


def test_eight_processes_do_not_disturb_each_other():
    build(["accuracy"])  # imports once, before the fork
    with multiprocessing.get_context("fork").Pool(8) as pool:
        results = pool.map(_evaluate, range(8), chunksize=1)
    assert results == [{"accuracy": 1.0, "f1": 1.0, "combined_score": 1.0}] * 8
