"""What a run says of its labels and its scores."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from exp.data.examples import Examples, TaskData
from exp.loop import outputs
from exp.run.folder import create
from exp.run.result import Result


def data(targets: list[object] | None, labels: tuple[str, ...] | None = ("neg", "pos")) -> TaskData:
    train = Examples(list(range(len(targets or [1]))), {}, targets)
    return TaskData("toy", train, {}, {}, labels, ("accuracy",), 8, "")


@pytest.mark.parametrize(
    ("targets", "counts"),
    [
        ([0, 1, 1], {"neg": 1, "pos": 2}),
        ([[0, 1], [1], []], {"neg": 1, "pos": 2}),  # several labels a row, or a tag a word
        ([0, 0], {"neg": 2, "pos": 0}),
        ([0.5, 1.5], None),
        (None, None),
    ],
)
def test_labels_are_counted_whatever_the_task(targets: list[object] | None, counts: dict[str, int] | None) -> None:
    assert outputs.label_counts(data(targets)) == counts
    assert outputs.label_counts(data(targets, None)) is None


def test_many_labels_are_told_by_the_commonest_and_the_rarest() -> None:
    assert outputs.shown_counts({"neg": 1, "pos": 2000}) == "neg 1, pos 2,000"
    told = outputs.shown_counts({f"c{row}": row for row in range(28)})
    assert told.startswith("c27 27, c26 26, ") and told.endswith("... (28 labels), c1 1, c0 0")


def test_the_summary_holds_the_test_scores(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = create(tmp_path, {"seed": 1, "tracker": {}})
    last = {"eval/accuracy": {"value": 0.7, "step": 9}, "test/accuracy": {"value": 0.8412, "step": 6}}
    cost = {"samples_per_second": float("nan"), "steps": 1, "train_seconds": 2.0}
    objective = {"name": "eval/accuracy", "value": 0.75, "step": 6}
    outputs.summarize(run, Result("completed", objective, {}, last, cost, saved_step=6))
    assert caplog.messages == [
        "completed: best eval/accuracy 0.7500 at step 6; 1 step in 2.0 s",
        "test/accuracy 0.8412  (weights of step 6)",
    ]
    caplog.clear()
    outputs.summarize(run, Result("completed", {**objective, "value": float("nan")}, {}, {}, cost, saved_step=6))
    assert caplog.messages == ["completed: nothing was measured; 1 step in 2.0 s"]
