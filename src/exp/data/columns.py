"""From a table with named columns to a split: what `data=files` and `data=hub` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exp.data import labels
from exp.data.rows import Rows
from exp.data.splits import Split
from exp.errors import ExpError, nearest

_TASKS = ("classification", "regression")


def check_columns(
    task: str, text_columns: Sequence[str], label_column: str, label_names: Sequence[str | int] | None
) -> None:
    """Raise ExpError for a kind of task or column names that cannot work, before any file is opened."""
    if task not in _TASKS:
        raise ExpError(f"data.task={task}{nearest(task, _TASKS)}")
    if isinstance(text_columns, str):
        raise ExpError(f"data.text_columns={text_columns}: give a list, e.g. data.text_columns=[{text_columns}]")
    for column in text_columns:
        if column in ("label", "idx"):
            raise ExpError(f"data.text_columns: {column!r} is a name that exp needs itself; rename the column")
    if len(set(text_columns)) < len(text_columns) or label_column in text_columns:
        raise ExpError(
            f"data.text_columns=[{', '.join(text_columns)}] data.label_column={label_column}: one column is named twice"
        )
    if label_names is not None:
        if task == "regression":
            raise ExpError("data.label_names: a regression has no label names; set it to null")
        names = [str(name) for name in label_names]  # [0,1] on the command line gives integers
        if len(set(names)) < max(2, len(names)):
            raise ExpError(f"data.label_names=[{', '.join(names)}]: give two different names or more")


def names_of(task: str, label_names: Sequence[str | int] | None, train: Rows, label_column: str) -> list[str] | None:
    """Label names in the order of their index: as given, else as found in training. None: regression."""
    if task == "regression":
        return None
    found = labels.class_names(train, label_column)
    if label_names is None:
        return found
    names = [str(name) for name in label_names]
    for name in found:
        if name not in names:
            raise ExpError(f"{train.path}: label {name!r} is not in data.label_names=[{', '.join(names)}]")
    return names


def split_of(
    table: Rows,
    text_columns: Sequence[str],
    label_column: str,
    label_names: Sequence[str] | None,
    id_column: str | None,
    labelled: bool,
) -> Split:
    """`labelled` False: a test split, whose label column may be absent or empty throughout."""
    texts = tuple(table.texts(column) for column in text_columns)
    cells = table.columns.get(label_column, ())
    found: Any = None
    if labelled or any(cell is not None and cell != "" for cell in cells):
        if label_names is None:
            found = labels.scores(table, label_column)
        else:
            found = labels.class_indices(table, label_column, label_names)
    return Split(texts, found, list(range(len(table))) if id_column is None else ids_of(table, id_column))


def ids_of(table: Rows, column: str) -> list[int] | list[str]:
    """Integers where all are, else texts. Raises ExpError for an id that is missing or occurs twice."""
    cells = table.column(column)
    seen: dict[str, int] = {}
    for row, cell in enumerate(cells):
        if cell is None or cell == "":
            raise ExpError(f"{table.where(row)}: no id in column {column!r}")
        if str(cell) in seen:
            raise ExpError(f"{table.where(row)}: id {cell!r} stands in line {table.lines[seen[str(cell)]]} too")
        seen[str(cell)] = row
    if all(isinstance(cell, int) and not isinstance(cell, bool) for cell in cells):
        return cells
    return [str(cell) for cell in cells]
