"""Rows with named columns, each row with the place where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from exp.errors import ExpError, nearest

Unit = Literal["line", "row", "question", "file"]  # file: the file is the row


class Source(NamedTuple):
    """A file that rows come from, and what their numbers count."""

    path: Path
    unit: Unit


@dataclass(frozen=True)
class Rows:
    """What one file or several hold, as Python values (str, int, float, bool, None, list, dict).

    Args:
        path: the file, or the first of several; for messages.
        columns: cells by column name, all of one length.
        lines: where each row stands: the line of its file, or the row (from 1) where a file has no lines.
        dropped: lines of rows that were left out on request.
        refused: columns that the file has and nobody can use, with the reason. Only who asks for one is told.
        sources: the file of each row. Empty: all rows are from `path`, counted in rows if it is a Parquet file.
    """

    path: Path
    columns: dict[str, list[Any]]
    lines: list[int]
    dropped: list[int] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: str) -> bool:
        """Whether the file has the column, be it one that `column` refuses."""
        return name in self.columns or name in self.refused or self._nested(name) is not None

    def column(self, name: str) -> list[Any]:
        """`a.b` is the key b of the objects in column a, where no column has that name.

        Raises ExpError for a column that is not there, occurs twice, or holds broken text.
        """
        if name in self.refused:
            raise ExpError(self.refused[name])
        if name not in self.columns:
            nested = self._nested(name)
            if nested is not None:
                return nested
            raise ExpError(f"{self.path} has no column {name!r}{nearest(name, map(shortened_name, self.columns))}")
        return self.columns[name]

    def _nested(self, name: str) -> list[Any] | None:
        """None where no object has the key."""
        column, dot, key = name.partition(".")
        cells = self.columns.get(column, []) if dot else []
        if not any(isinstance(cell, dict) and key in cell for cell in cells):
            return None
        return [cell.get(key) if isinstance(cell, dict) else None for cell in cells]

    def where(self, row: int) -> str:
        """`a.csv, line 12`, or `a.parquet, row 3`."""
        if self.sources:
            source = self.sources[row]
        else:
            source = Source(self.path, "row" if self.path.suffix.lower() == ".parquet" else "line")
        if source.unit == "file":
            return str(source.path)
        return f"{source.path}, {source.unit} {self.lines[row]}"

    def texts(self, name: str) -> list[str]:
        """Raises ExpError, with its place, for a cell that is missing or no text."""
        values = self.column(name)
        for row, value in enumerate(values):
            if not isinstance(value, str):
                what = "missing" if value is None else f"{shortened(value)}, not a text"
                raise ExpError(f"{self.where(row)}: column {name!r} is {what}")
        return values

    def take(self, rows: Sequence[int]) -> Rows:
        """These rows in this order."""
        return Rows(
            self.path,
            {name: [cells[row] for row in rows] for name, cells in self.columns.items()},
            [self.lines[row] for row in rows],
            self.dropped,
            self.refused,
            [self.sources[row] for row in rows] if self.sources else [],
        )


def one_after_the_other(parts: Sequence[Rows], missing_columns: bool) -> Rows:
    """The rows of several files.

    Args:
        parts: rows whose `sources` are filled.
        missing_columns: whether a file may lack a column of another one; its cells become None.

    Raises:
        ExpError: the files have different columns and may not.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    names = {name: None for part in parts for name in part.columns}
    for part in parts:
        if not missing_columns and part.columns.keys() != names.keys():
            other = next(other for other in parts if other.columns.keys() != part.columns.keys())
            raise ExpError(
                f"{other.path} has the columns {listed(other.columns)}, "
                f"{part.path} has {listed(part.columns)}; several files of one split need the same columns"
            )
    refused = {name: reason for part in parts for name, reason in part.refused.items()}
    columns: dict[str, list[Any]] = {name: [] for name in names if name not in refused}
    for part in parts:
        for name, cells in columns.items():
            cells.extend(part.columns.get(name) or [None] * len(part))
    return Rows(
        first.path,
        columns,
        [line for part in parts for line in part.lines],
        [line for part in parts for line in part.dropped],
        refused,
        [source for part in parts for source in part.sources],
    )


def unique_names(found: Sequence[str], where: str) -> tuple[list[str], dict[str, str]]:
    """Names by which every column can be asked for, and why some of the file's own names cannot.

    A column without a name becomes `unnamed_3`, and a doubled `text` becomes `text_1` and `text_4`, after their
    positions from 1. `where` is the place of the header, for the reason.
    """
    counts = Counter(found)
    taken = {name for name, count in counts.items() if name and count == 1}
    names: list[str] = []
    renamed: dict[str, list[str]] = {}
    for position, name in enumerate(found, start=1):
        if name in taken:
            names.append(name)
            continue
        new = f"{name or 'unnamed'}_{position}"
        while new in taken:
            new += "_"
        taken.add(new)
        names.append(new)
        if name:
            renamed.setdefault(name, []).append(new)
    return names, {
        name: f"{where}: column {name!r} occurs {len(new)} times; ask for {' or '.join(map(repr, new))}, "
        f"or, if this is no header, set data.header=none"
        for name, new in renamed.items()
    }


def listed(names: Iterable[str]) -> str:
    """Column names for a message: a file without a header has texts in their place, or hundreds of them."""
    short = [shortened_name(name) for name in names]
    return ", ".join(short[:12]) + (f", and {len(short) - 12} more" if len(short) > 12 else "")


def shortened_name(name: str) -> str:
    name = " ".join(name.split())  # messages have one line
    return name if len(name) <= 40 else name[:37] + "..."


def shortened(value: object, limit: int = 60) -> str:
    """A cell for a message, at most `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
