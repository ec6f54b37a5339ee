"""From label cells to classes or scores."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from exp.data.rows import Rows
from exp.errors import ExpError, nearest

log = logging.getLogger("exp")
MISSING = (None, "")
PLACEHOLDERS = (-1, "-1")  # in test sets whose labels were never published


def class_names(rows: Rows, column: str) -> list[str]:
    """The labels that occur, as texts: integers in their order, everything else alphabetically.

    Warns of labels that differ only in case or in spaces. Raises ExpError for a missing label, for labels that are no
    classes, and where there are not two classes at least.
    """
    cells = rows.column(column)
    counts = Counter(_name(rows, column, row) for row in range(len(rows)))
    if len(counts) < 2:
        raise ExpError(
            f"{rows.path}: every row has the label {next(iter(counts))!r} in column {column!r}; "
            f"classification needs two classes or more"
        )
    fractions = [row for row, cell in enumerate(cells) if _is_fraction(cell)]
    if fractions:
        raise ExpError(
            f"{rows.where(fractions[0])}: the label {cells[fractions[0]]!r} in column {column!r} is no class but a "
            f"number; for scores set task.problem_type=regression, or name another task.label_column"
        )
    if len(counts) > 50 and len(counts) > len(rows) / 2:
        raise ExpError(
            f"{rows.path}: column {column!r} has {len(counts)} different labels in {len(rows)} rows; are "
            f"task.text_columns and task.label_column exchanged?"
        )
    _warn_of_twins(counts, column)
    try:
        return sorted(counts, key=int)
    except ValueError:
        return sorted(counts)


def check_names(names: Sequence[str | int] | None) -> None:
    """Raises ExpError for names that are doubled or too few."""
    if names is not None:
        texts = [str(name) for name in names]
        if len(set(texts)) < max(2, len(texts)):
            raise ExpError(f"task.label_names=[{', '.join(texts)}]: give two different names or more")


def class_indices(rows: Rows, column: str, names: Sequence[str], key: str | None = None) -> list[int]:
    """Raises ExpError for a label that `names` lacks, naming it and its place. `key`: where the names were given."""
    index = index_of(names)
    indices = []
    for row in range(len(rows)):
        name = _name(rows, column, row)
        if name not in index:
            why = "does not occur in training" if key is None else f"is not in {key}=[{', '.join(names)}]"
            raise ExpError(f"{rows.where(row)}: label {name!r} in column {column!r} {why}{nearest(name, names)}")
        indices.append(index[name])
    return indices


def index_of(names: Sequence[str]) -> dict[str, int]:
    """Of each name; where no name is a number, rows may hold indices in place of names."""
    index = {name: number for number, name in enumerate(names)}
    if not any(name.lstrip("-").isdigit() for name in names):
        index |= {str(number): number for number in range(len(names))}
    return index


def scores(rows: Rows, column: str) -> list[float]:
    """Raises ExpError for a cell that is not a finite number, naming its place."""
    values = []
    for row, cell in enumerate(rows.column(column)):
        try:
            value = math.nan if isinstance(cell, bool) else float(cell)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise ExpError(f"{rows.where(row)}: {cell!r} in column {column!r} is not a number")
        values.append(value)
    return values


def without_unlabelled(rows: Rows, column: str, no_label: Sequence[str | int] | None) -> Rows:
    """Rows whose label is none of the values that mean "no label"; says how many were left out."""
    if not no_label or column not in rows:
        return rows
    words = {str(value) for value in no_label}
    kept = [row for row, cell in enumerate(rows.column(column)) if cell not in MISSING and str(cell) not in words]
    if len(kept) < len(rows):
        log.info("%s: %d rows have no label and are left out", rows.path, len(rows) - len(kept))
    return rows.take(kept)


def cells_of(rows: Rows, column: str) -> list[Any]:
    """None where the rows lack the column; ExpError where it cannot be used."""
    return rows.column(column) if column in rows else []


def is_labelled(rows: Rows, column: str, names: Sequence[str] | None, no_label: Sequence[str | int] | None) -> bool:
    """Whether a test set has labels: its column may be absent, empty, or hold placeholders throughout."""
    nothing = {*MISSING, *(no_label or ()), *map(str, no_label or ())}
    if names is None or "-1" not in names:
        nothing |= set(PLACEHOLDERS)
    return any(not _in(cell, nothing) for cell in cells_of(rows, column))


def _in(cell: Any, values: set[Any]) -> bool:
    return not isinstance(cell, list | dict) and (cell in values or cell == -1.0)


def _name(rows: Rows, column: str, row: int) -> str:
    cell = rows.column(column)[row]
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        raise ExpError(
            f"{rows.where(row)}: no label in column {column!r}; task.no_label=[...] leaves out rows whose label is one "
            f"of its values"
        )
    if isinstance(cell, list | dict):
        kind = "a list" if isinstance(cell, list) else "an object"
        raise ExpError(
            f"{rows.where(row)}: the label in column {column!r} is {kind}; several labels a row are "
            f"task=multi_label task.labels_column={column}"
        )
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # 1.0 is what a table with a gap makes of 1
    return str(cell)


def _is_fraction(cell: Any) -> bool:
    if isinstance(cell, float):
        return not cell.is_integer()
    if not isinstance(cell, str) or "." not in cell:
        return False
    try:
        return not float(cell).is_integer()
    except ValueError:
        return False


def _warn_of_twins(counts: Counter[str], column: str) -> None:
    seen: dict[str, str] = {}
    for name in sorted(counts):
        plain = " ".join(name.split()).casefold().removesuffix(".0")
        if plain in seen:
            log.warning(
                "labels %r (%d rows) and %r (%d rows) in column %r are different classes; one may be a slip",
                *(seen[plain], counts[seen[plain]], name, counts[name], column),
            )
        seen.setdefault(plain, name)
    for name in counts:
        if name.casefold() in ("nan", "null", "n/a"):
            log.warning(
                "label %r (%d rows) in column %r is a class; task.no_label=[%s] would leave its rows out",
                *(name, counts[name], column, name),
            )
