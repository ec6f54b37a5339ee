"""From label cells to classes or scores."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from exp.data.rows import Rows, listed, shortened
from exp.errors import ExpError, nearest

log = logging.getLogger("exp")
MISSING = (None, "")
NO_LABEL = ("nan", "na", "n/a", "<na>", "null", "-", "?")  # texts that seldom name a class
PLACEHOLDERS = (-1, "-1")  # in test sets whose labels were never published


def class_names(rows: Rows, column: str) -> list[str]:
    """The labels that occur, as texts: integers in their order, everything else alphabetically.

    Warns of labels that differ only in case or in spaces. Raises ExpError for a missing label, for labels that are no
    classes, and where there are not two classes at least.
    """
    cells = rows.column(column)
    counts = Counter(_names(rows, column))
    if not counts:
        raise ExpError(f"{rows.path}: no row has a label in column {column!r}")
    if len(counts) < 2:
        raise ExpError(
            f"{rows.path}: every row has the label {shortened(next(iter(counts)))} in column {column!r}; "
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
    warn_of_twins(counts, column)
    return in_order(counts)


def in_order(names: Iterable[str]) -> list[str]:
    """Integers in their order, everything else alphabetically."""
    try:
        return sorted(names, key=int)
    except ValueError:
        return sorted(names)


def apart(column: str, inputs: Sequence[str]) -> str:
    """The label column. Raises ExpError where a model would be shown it."""
    if column in inputs:
        raise ExpError(
            f"task.text_columns=[{', '.join(inputs)}] holds the label column {column!r}: the model would read the "
            f"answers; name another column"
        )
    return column


def check_names(names: Sequence[str | int] | None) -> None:
    """Raises ExpError for names that are doubled or too few."""
    if names is not None:
        texts = [str(name) for name in names]
        if len(set(texts)) < max(2, len(texts)):
            raise ExpError(f"task.label_names=[{', '.join(texts)}]: give two different names or more")


def class_indices(
    rows: Rows, column: str, names: Sequence[str], by_index: bool = False, key: str | None = None
) -> list[int]:
    """Raises ExpError for a label that `names` lacks, naming it and its place.

    Args:
        rows: with the labels in `column`.
        column: may be absent from the rows; that is an error too.
        names: by index.
        by_index: rows may hold indices in place of names.
        key: the setting that gave the names, for the message.
    """
    index = index_of(names, by_index)
    indices = []
    for row, name in enumerate(_names(rows, column)):
        if name not in index:
            why = "does not occur in training" if key is None else f"is not in {key}=[{listed(names)}]"
            raise ExpError(
                f"{rows.where(row)}: label {shortened(name)} in column {column!r} {why}{nearest(name, names)}"
            )
        indices.append(index[name])
    return indices


def index_of(names: Sequence[str], by_index: bool) -> dict[str, int]:
    """Of each name. `by_index`: rows may hold indices in place of names, where no name is a number itself."""
    index = {name: number for number, name in enumerate(names)}
    if by_index and not any(name.lstrip("-").isdigit() for name in names):
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
            raise ExpError(f"{rows.where(row)}: {shortened(cell)} in column {column!r} is not a number")
        values.append(value)
    return values


def without_unlabelled(rows: Rows, column: str, no_label: Sequence[str | int] | None) -> Rows:
    """Rows whose label is none of the values that mean "no label"; says how many were left out."""
    if not no_label or column not in rows:
        return rows
    words = {str(value) for value in no_label}
    kept = [row for row, cell in enumerate(rows.column(column)) if _text(cell) not in {None, *words}]
    if len(kept) < len(rows):
        log.info("%s: left out %s without a label", rows.path, _counted(len(rows) - len(kept), "rows"))
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


def _text(cell: Any) -> str | None:
    """The name that a label cell holds; None where it holds none."""
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # 1.0 is what a table with a gap makes of 1
    return str(cell)


def _names(rows: Rows, column: str) -> list[str]:
    """Of every row; a value is looked at once. Raises ExpError as `_name` does."""
    cells = rows.column(column)
    if set(map(type, cells)) == {str}:
        # The row where each stands first: later pairs replace earlier ones.
        first = dict(zip(reversed(cells), range(len(cells) - 1, -1, -1), strict=True))
        named = {cell: _name(rows, column, row) for cell, row in sorted(first.items(), key=lambda one: one[1])}
        return [named[cell] for cell in cells]
    known: dict[tuple[type, Any], str] = {}
    names = []
    for row, cell in enumerate(cells):
        mark = (type(cell), cell if isinstance(cell, str | int) else row)  # 1, 1.0 and true are equal
        if mark not in known:
            known[mark] = _name(rows, column, row)
        names.append(known[mark])
    return names


def _name(rows: Rows, column: str, row: int) -> str:
    cell = rows.column(column)[row]
    name = _text(cell)
    if name is None:
        raise ExpError(
            f"{rows.where(row)}: no label in column {column!r}; task.no_label=[-1] leaves such rows out, and those "
            f"with -1"
        )
    if isinstance(cell, list | dict):
        if isinstance(cell, dict):
            raise ExpError(
                f"{rows.where(row)}: the label in column {column!r} is an object ({shortened(cell)}), not a text or a "
                f"number; put the one of its values that is the class into a column of its own"
            )
        raise ExpError(
            f"{rows.where(row)}: the label in column {column!r} is a list; several labels a row are "
            f"task=multi_label task.labels_column={column}"
        )
    return name


def names_in(cell: list[Any], rows: Rows, column: str, row: int) -> list[str]:
    """The names in a cell that is a list of them. Raises ExpError for what is no name."""
    names = []
    for place, one in enumerate(cell):
        name = None if isinstance(one, list | dict) else _text(one)
        if name is None:
            raise ExpError(
                f"{rows.where(row)}: entry {place + 1} of the list in column {column!r} is {shortened(one)}, no name"
            )
        names.append(name)
    return names


def _is_fraction(cell: Any) -> bool:
    if isinstance(cell, float):
        return not cell.is_integer()
    if not isinstance(cell, str) or "." not in cell:
        return False
    try:
        return not float(cell).is_integer()
    except ValueError:
        return False


def warn_of_twins(counts: Counter[str], column: str, unit: str = "rows") -> None:
    """Of labels that differ only in case or in spaces, and of one that may mean "no label"."""
    seen: dict[str, str] = {}
    for name in sorted(counts):
        plain = " ".join(name.split()).casefold().removesuffix(".0")
        if plain in seen:
            log.warning(
                "labels %r (%s) and %r (%s) in column %r are different classes; one may be a slip",
                *(seen[plain], _counted(counts[seen[plain]], unit), name, _counted(counts[name], unit), column),
            )
        seen.setdefault(plain, name)
    for name in counts if unit == "rows" else ():
        if name.strip().casefold() in NO_LABEL:
            log.warning(
                "label %r (%s) in column %r is a class; task.no_label=[%s] would leave its rows out",
                *(name, _counted(counts[name], unit), column, name if name.isalpha() else f"'{name}'"),
            )


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit if count != 1 else unit.removesuffix('s')}"
