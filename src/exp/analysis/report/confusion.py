"""Confusion matrices from a run's predictions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from exp.analysis.run_data import RunData
from exp.errors import ExpError


def confusion(run: RunData) -> dict[str, Any]:
    """Split -> {names, counts}; counts[i][j]: items of label i predicted as j.

    Splits without labels (a test set), tasks without classes and files that cannot be read are left out.
    """
    import pyarrow.parquet as parquet

    from exp.task.pictures import Confusion

    folder = run.folder and run.folder / "predictions"
    if folder is None or not folder.is_dir():
        return {}
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.parquet")):
        try:
            pictures = run.reading().pictures(parquet.read_table(path))
        except (ExpError, OSError, ValueError, KeyError):
            continue
        for picture in pictures:
            if isinstance(picture, Confusion):
                found[path.stem] = asdict(picture)
    return found
