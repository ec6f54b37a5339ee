"""The examples that a model answered wrongly, the most telling first: errors/<split>.parquet and .csv."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from exp.task.base import Reading

MOST = 1_000  # rows that anybody reads


def mistakes(reading: Reading, table: pa.Table) -> pa.Table | None:
    """The rows whose prediction is not the label, with the columns `item_score` and `confidence` before their own.

    Worst item score first, and of equals the one that the model was surest of.

    Args:
        reading: of the task that made the table.
        table: of predictions.

    Returns:
        At most 1,000 rows; None where no row has a label, or rows have no prediction.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not {"label", "prediction"} <= set(table.column_names) or table["label"].null_count == len(table):
        return None
    known = table.filter(pc.is_valid(table["label"]))
    pairs = zip(known["prediction"].to_pylist(), known["label"].to_pylist(), strict=True)
    right = np.array([found == label or (isinstance(label, list) and found in label) for found, label in pairs], bool)
    scores = np.asarray(reading.item_scores(known), dtype=float)
    if right.any():  # another spelling of a right answer scores as high
        right |= scores >= scores[right].max()
    sure = reading.confidence(known)
    order = np.lexsort((np.zeros(len(known)) if sure is None else -sure, scores))
    chosen = order[~right[order]][:MOST]
    picked = known.take(pa.array(chosen))
    first = {"id": picked["id"], "item_score": pa.array(scores[chosen], pa.float64())}
    if sure is not None:
        first["confidence"] = pa.array(np.asarray(sure)[chosen], pa.float64())
    rest = {
        name: picked[name]
        for name in picked.column_names
        if name not in first and (name == "scores" or not _is_vector(picked[name].type))
    }
    return pa.table({**first, **rest})


def _is_vector(kind: pa.DataType) -> bool:
    """Numbers for machines, such as an embedding."""
    import pyarrow as pa

    lists = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and pa.types.is_floating(kind.value_type)
