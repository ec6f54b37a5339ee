"""Confusion matrices from a run's predictions."""

from __future__ import annotations

from typing import Any

from exp.analysis.run_data import RunData

# Wider matrices cannot be read on a page.
MOST_CLASSES = 30


def confusion(run: RunData) -> dict[str, Any]:
    """Split -> {labels, counts}; counts[i][j]: examples of label i predicted as j.

    Splits without labels (a test set), regression and files that cannot be read are left out.
    """
    folder = run.folder and run.folder / "predictions"
    if folder is None or not folder.is_dir():
        return {}
    found = {path.stem: _matrix(path, run.data.get("label_names")) for path in sorted(folder.glob("*.parquet"))}
    return {split: matrix for split, matrix in found.items() if matrix}


def _matrix(path: Any, names: list[str] | None) -> dict[str, Any] | None:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(path, columns=["label", "prediction"])
    except (OSError, ValueError, KeyError):
        return None
    if any(pyarrow.types.is_floating(column.type) for column in table.columns):
        return None
    pairs = table.drop_null().group_by(["label", "prediction"]).aggregate([([], "count_all")]).to_pylist()
    seen = {pair["label"] for pair in pairs} | {pair["prediction"] for pair in pairs}
    labels = list(names) if names and seen <= set(names) else sorted(seen, key=str)
    if not pairs or len(labels) > MOST_CLASSES:
        return None
    counts = [[0] * len(labels) for _ in labels]
    for pair in pairs:
        counts[labels.index(pair["label"])][labels.index(pair["prediction"])] = pair["count_all"]
    return {"labels": [str(label) for label in labels], "counts": counts}
