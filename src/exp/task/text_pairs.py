"""Rows of a source and its target texts: what summaries and translations are read from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from exp.data.rows import Rows, shortened
from exp.errors import ExpError
from exp.run.said import counted
from exp.task import labels

log = logging.getLogger("exp")
EMPTY: tuple[Any, ...] = (None, "", [])


def sources(rows: Rows, column: str) -> list[str]:
    """A text a row; a list of sentences is joined by spaces.

    Raises ExpError, with file, row and column, for a cell that is empty or no text.
    """
    return [_joined(rows, column, row, cell) for row, cell in enumerate(rows.column(column))]


def targets(rows: Rows, column: str) -> list[list[str]]:
    """One reference or more a row. Raises ExpError as `sources` does."""
    return [_references(rows, column, row, cell) for row, cell in enumerate(rows.column(column))]


def are_there(rows: Rows, column: str) -> bool:
    """Whether any row has a target."""
    return any(cell not in EMPTY for cell in labels.cells_of(rows, column))


def without_empty(rows: Rows, columns: Sequence[str]) -> Rows:
    """Rows with a text in each of `columns`; the number of the others is said."""
    kept = [
        row
        for row, cells in enumerate(zip(*(rows.column(name) for name in columns), strict=True))
        if not any(_is_empty(cell) for cell in cells)
    ]
    if len(kept) == len(rows):
        return rows
    log.info(
        "%s: %s left out, an empty text in %s", rows.path, counted(len(rows) - len(kept), "row"), " or ".join(columns)
    )
    return rows.take(kept)


def _is_empty(cell: Any) -> bool:
    if isinstance(cell, list):
        return not any(isinstance(one, str) and one.strip() for one in cell)
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _joined(rows: Rows, column: str, row: int, cell: Any) -> str:
    parts = cell if isinstance(cell, list) else [cell]
    if _is_empty(cell):
        raise _empty(rows, column, row)
    for part in parts:
        _require_text(rows, column, row, part)
    return " ".join(parts)


def _references(rows: Rows, column: str, row: int, cell: Any) -> list[str]:
    texts = cell if isinstance(cell, list) else [cell]
    if not texts:
        raise _empty(rows, column, row)
    for text in texts:
        if text is not None:
            _require_text(rows, column, row, text)
        if _is_empty(text):
            raise _empty(rows, column, row)
    return list(texts)


def _require_text(rows: Rows, column: str, row: int, cell: Any) -> None:
    if not isinstance(cell, str):
        raise ExpError(f"{rows.where(row)}: column {column!r} is {shortened(cell)}, not a text")


def _empty(rows: Rows, column: str, row: int) -> ExpError:
    return ExpError(
        f"{rows.where(row)}: column {column!r} is empty; fill it, or leave such rows out with task.drop_empty=true"
    )
