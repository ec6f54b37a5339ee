"""From label cells to class indices or scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

from exp.data.rows import Rows
from exp.errors import ExpError, nearest


def class_names(table: Rows, column: str) -> list[str]:
    """The labels that occur, as texts: integers in their order, everything else alphabetically.

    Raises ExpError for a missing label, and where there are not two classes at least.
    """
    names = {_name(table, column, row) for row in range(len(table))}
    if len(names) < 2:
        raise ExpError(
            f"{table.path}: every row has the label {names.pop()!r} in column {column!r}; "
            f"classification needs two classes or more"
        )
    try:
        return sorted(names, key=int)
    except ValueError:
        return sorted(names)


def class_indices(table: Rows, column: str, names: Sequence[str]) -> list[int]:
    """Raises ExpError for a label that `names` lacks, naming it and its place."""
    index = {name: number for number, name in enumerate(names)}
    indices = []
    for row in range(len(table)):
        name = _name(table, column, row)
        if name not in index:
            raise ExpError(
                f"{table.where(row)}: label {name!r} in column {column!r} does not occur in training"
                f"{nearest(name, names)}"
            )
        indices.append(index[name])
    return indices


def scores(table: Rows, column: str) -> list[float]:
    """Raises ExpError for a cell that is not a finite number, naming its place."""
    values = []
    for row, cell in enumerate(table.column(column)):
        try:
            value = float(cell)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise ExpError(f"{table.where(row)}: {cell!r} in column {column!r} is not a number")
        values.append(value)
    return values


def _name(table: Rows, column: str, row: int) -> str:
    cell = table.column(column)[row]
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        raise ExpError(f"{table.where(row)}: no label in column {column!r}")
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # 1.0 is what a table with a gap makes of 1
    return str(cell)
