"""Rows that were answered wrongly: which, in which order."""

from __future__ import annotations

import pyarrow as pa

from exp.task.mistakes import mistakes
from exp.task.one_label import OneLabelReading


def table(label: list[str | None], prediction: list[str], sure: list[float]) -> pa.Table:
    scores = pa.array([[one, 1 - one] for one in sure], pa.list_(pa.float64()))
    text = [f"text {row}" for row in range(len(label))]
    columns = {"id": list("abcde")[: len(label)], "label": pa.array(label, pa.string()), "prediction": prediction}
    return pa.table({**columns, "scores": scores, "text": text})


def test_the_surest_mistake_stands_first() -> None:
    found = mistakes(
        OneLabelReading(["x", "y"], ("accuracy",)),
        table(["x", "y", "y", None, "y"], ["x", "x", "x", "x", "x"], [0.9, 0.6, 0.8, 0.99, 0.7]),
    )
    assert found is not None
    assert found.column_names == ["id", "item_score", "confidence", "label", "prediction", "scores", "text"]
    assert found["id"].to_pylist() == ["c", "e", "b"] and found["confidence"].to_pylist() == [0.8, 0.7, 0.6]
    assert found["item_score"].to_pylist() == [0.0, 0.0, 0.0] and found["text"][0].as_py() == "text 2"


def test_in_regression_the_largest_error_stands_first() -> None:
    columns = {"id": list("abc"), "label": [1.0, 2.0, 3.0], "prediction": [1.0, 4.0, 2.5], "scores": [[], [], []]}
    found = mistakes(OneLabelReading(None, ("pearson",)), pa.table(columns))
    assert found is not None and "confidence" not in found.column_names
    assert (found["id"].to_pylist(), found["item_score"].to_pylist()) == (["b", "c"], [-4.0, -0.25])


def test_an_embedding_is_left_out() -> None:
    with_vectors = table(["x"], ["y"], [0.9]).append_column("vectors", pa.array([[0.1, 0.2]], pa.list_(pa.float32())))
    found = mistakes(OneLabelReading(["x", "y"], ("accuracy",)), with_vectors)
    assert found is not None and "vectors" not in found.column_names and "scores" in found.column_names


def test_without_labels_there_are_none() -> None:
    reading = OneLabelReading(["x", "y"], ("accuracy",))
    assert mistakes(reading, table([None, None], ["x", "y"], [0.9, 0.6])) is None
    nothing = mistakes(reading, table(["x"], ["x"], [0.9]))
    assert nothing is not None and len(nothing) == 0
