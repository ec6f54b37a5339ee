"""What a run says of its labels and its scores."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pytest

from exp.data.examples import Examples, TaskData
from exp.loop import outputs
from exp.loop.evaluation import Evaluation
from exp.run.folder import create, read_record
from exp.run.result import Result
from exp.task.tag_reading import TagReading


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


def test_every_class_has_its_score_in_the_record_and_in_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = create(tmp_path, {"seed": 1, "tracker": {}})
    reading = TagReading(("O", "B-a", "I-a", "B-b", "I-b"), ("entity_f1",), "tokens")
    tags = {"label": [["B-a", "I-a"], ["B-b"], ["B-b"]], "prediction": [["B-a", "I-a"], ["B-b"], ["O"]]}
    words = {"id": ["1", "2", "3"], "scores": [[0.9, 0.9], [0.9], [0.9]], "tokens": [["x", "y"], ["z"], ["z"]]}
    found = Evaluation(pa.table({**words, **tags}), {"entity_f1": 0.8})
    for name in ("eval", "test"):
        outputs.write_predictions(run, name, found, reading, Examples(["1", "2", "3"], {}, None))
    scores = {"a": 1.0, "b": pytest.approx(2 / 3)}
    assert read_record(run.folder)["data"]["by_class"] == {"eval": scores, "test": scores}
    assert caplog.messages == [f"{name}, F1 by class: a 1.000, b 0.667" for name in ("eval", "test")]


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
