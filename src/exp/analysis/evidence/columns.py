"""Columns beside the scores: of the predictions, of the rows that were evaluated, and the length of a text."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exp.analysis.evidence.predictions import Predictions
from exp.data.rows import Rows
from exp.errors import ExpError, nearest
from exp.metrics.key import Key
from exp.options import trust
from exp.run.folder import read_record

LENGTH = "length"  # words of all inputs of a row
LEAKED = "leaked"  # whether the row stands in train too


def column(found: Predictions, name: str, split: str) -> list[Any]:
    """One value an example.

    Raises ExpError for a column that neither the predictions nor the run's data have, and for data that changed.
    """
    if name in found.table.column_names:
        return [tuple(cell) if isinstance(cell, list) else cell for cell in found.table[name].to_pylist()]
    if name == LENGTH:
        return _lengths(found)
    if name == LEAKED:
        return leaked(found, split)
    rows, ids = _rows(found, split, name)
    if name not in rows:
        known = {*found.table.column_names, *rows.columns, LENGTH, LEAKED}
        raise ExpError(f"there is no column {name!r} in the predictions or the data{nearest(name, known)}")
    cells = rows.column(name)
    return [cells[at] for at in _places(found, rows, ids)]


def leaked(found: Predictions, split: str) -> list[str]:
    """`yes` for each row whose inputs stand in train too. Raises ExpError for a run that did not look for them."""
    if split not in (found.run.data.get("leaks") or {}):
        raise ExpError("the run was made before exp looked for rows that stand in train too")
    assert found.run.folder is not None
    path = found.run.folder / "leaks.json"
    try:
        rows = set(json.loads(path.read_text(encoding="utf-8")).get(split, [])) if path.exists() else set()
    except (OSError, ValueError):
        raise ExpError(f"{path} cannot be read") from None
    return ["yes" if row in rows else "no" for row in range(len(found.table))]


def _lengths(found: Predictions) -> list[int]:
    inputs = [name for name in found.asked if name != "label"]
    columns = [found.table[name].to_pylist() for name in inputs]
    return [sum(_words(cell) for cell in cells) for cells in zip(*columns, strict=True)]


def _words(cell: Any) -> int:
    if isinstance(cell, str):
        return len(cell.split())
    return len(cell) if isinstance(cell, list) else 0


def _rows(found: Predictions, split: str, name: str) -> tuple[Rows, Sequence[Any]]:
    """Of the evaluation set, as its file has them, and their ids."""
    folder = found.run.folder
    assert folder is not None
    record = read_record(folder)
    node: Mapping[str, Any] = record["config"]["data"]
    where = Path(record.get("cwd") or ".")
    try:
        with contextlib.chdir(where) if where.is_dir() else contextlib.nullcontext():
            options = {key: value for key, value in node.items() if not key.startswith("_")}
            raw = trust.resolve(node["_target_"], "data")(**options).read()
    except (ExpError, OSError, KeyError, TypeError) as error:
        known = nearest(name, {*found.table.column_names, LENGTH})
        raise ExpError(
            f"the predictions have no column {name!r}{known}; and the run's data cannot be read: {error}"
        ) from None
    key = Key(split, "")
    splits = raw.tests if key.kind == "test" else raw.evals
    rows = raw.train if key.kind == "eval" and raw.hold_out is not None else splits.get(key.suffix)
    if rows is None:
        raise ExpError(f"the run's data have no split {split}")
    return rows, range(len(rows)) if raw.id_column is None else rows.column(raw.id_column)


def _places(found: Predictions, rows: Rows, ids: Sequence[Any]) -> list[int]:
    """The row of each example; its text shows whether the file is still the one that was evaluated on."""
    by_id = {str(one): at for at, one in enumerate(ids)}
    places = [by_id.get(str(one), -1) for one in found.table["id"].to_pylist()]
    same = -1 not in places
    for name in found.asked:
        if same and name != "label" and name in rows:
            cells, told = rows.column(name), found.table[name].to_pylist()
            same = all(cells[at] == one for at, one in zip(places, told, strict=True))
    if not same:
        raise ExpError(f"{rows.path} is no longer what the run was evaluated on, so its columns belong to other rows")
    return places
