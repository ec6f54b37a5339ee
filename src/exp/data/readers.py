"""Strict readers: a wrong byte, a short row or a missing column is named with its file and line.

Nothing is guessed and nothing is skipped in silence. Lines end with "\\n" or "\\r\\n" only: sentences may
hold characters that `str.splitlines` takes for line ends. A byte-order mark is dropped.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.errors import ExpError, nearest

_LONGEST_CSV_FIELD = 1 << 26  # characters; Python's own limit of 131,072 is less than a long document


@dataclass(frozen=True)
class Table:
    path: Path
    columns: dict[str, list[Any]]
    lines: list[int]  # where each row stands, for messages: line of the file, or row (from 1) of a Parquet file
    dropped: list[int] = field(default_factory=list)  # lines of rows that were left out on request

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[Any]:
        if name not in self.columns:
            raise ExpError(f"{self.path} has no column {name!r}{nearest(name, self.columns)}")
        return self.columns[name]

    def where(self, row: int) -> str:
        return f"{self.path}, {'row' if self.path.suffix == '.parquet' else 'line'} {self.lines[row]}"

    def texts(self, name: str) -> list[str]:
        values = self.column(name)
        for row, value in enumerate(values):
            if not isinstance(value, str):
                what = "missing" if value is None else f"{value!r}, not a text"
                raise ExpError(f"{self.where(row)}: column {name!r} is {what}")
        return values


def require_file(path: Path, role: str) -> None:
    """Raise ExpError unless `path` is a readable file and not empty. `role` is the key or split it is for."""
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings) if siblings else f"; {path.parent} is no folder either"
        raise ExpError(f"{role}: there is no file {path}{hint}")
    if not path.is_file():
        raise ExpError(f"{role}: {path} is not a file")
    if path.stat().st_size == 0:
        raise ExpError(f"{role}: {path} is empty")


def read(path: Path) -> Table:
    """The whole file, by its ending: .csv, .tsv, .jsonl (or .json), .parquet."""
    readers = {
        ".csv": read_csv,
        ".tsv": read_tsv,
        ".jsonl": read_jsonl,
        ".json": read_jsonl,
        ".parquet": read_parquet,
    }
    require_format(path)
    table = readers[path.suffix](path)
    if not len(table):
        raise ExpError(f"{path} has no rows")
    return table


def require_format(path: Path) -> None:
    known = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
    if path.suffix not in known:
        raise ExpError(f"{path}: cannot read {path.suffix or 'a file without ending'}; known: {', '.join(known)}")


def read_tsv(path: Path, header: Sequence[str] | None = None, drop_ragged: bool = False) -> Table:
    """Tab-separated values without any quoting: a `"` is a character like every other (as in GLUE).

    `header` names the columns of a file that does not. Rows with another number of fields than the header
    raise ExpError, or are left out and listed in `dropped`.
    """
    text = _text(path)
    rows = [line.removesuffix("\r") for line in text.split("\n")]
    names = list(header) if header else rows[0].split("\t")
    _unique(path, names)
    width = len(names)
    cells: list[list[str]] = []
    lines: list[int] = []
    dropped: list[int] = []
    for number, row in enumerate(rows, start=1):
        if (number == 1 and not header) or not row:
            # An empty line is no row, but in a file of one column it may be an empty text.
            if row == "" and width == 1 and 1 < number < len(rows):
                raise ExpError(f"{path}, line {number}: empty line")
            continue
        values = row.split("\t")
        if len(values) != width:
            if not drop_ragged:
                raise ExpError(f"{path}, line {number}: {len(values)} fields, expected {width} ({', '.join(names)})")
            dropped.append(number)
            continue
        cells.append(values)
        lines.append(number)
    columns = [list(column) for column in zip(*cells, strict=True)] if cells else [[] for _ in names]
    return Table(path, dict(zip(names, columns, strict=True)), lines, dropped)


def read_csv(path: Path) -> Table:
    """Comma-separated values with a header and the quoting of RFC 4180."""
    text = _text(path)
    old_limit = csv.field_size_limit(_LONGEST_CSV_FIELD)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        names: list[str] = []
        cells: list[list[str]] = []
        lines: list[int] = []
        while True:
            first_line = reader.line_num + 1  # a quoted field may go on over several lines
            try:
                values = next(reader, None)
            except csv.Error as error:
                raise ExpError(f"{path}, line {first_line}: {error}") from error
            if values is None:
                break
            if not names:
                names = values
                _unique(path, names)
            elif values:
                if len(values) != len(names):
                    raise ExpError(
                        f"{path}, line {first_line}: {len(values)} fields, expected {len(names)} ({', '.join(names)})"
                    )
                cells.append(values)
                lines.append(first_line)
    finally:
        csv.field_size_limit(old_limit)
    columns = [list(column) for column in zip(*cells, strict=True)] if cells else [[] for _ in names]
    return Table(path, dict(zip(names, columns, strict=True)), lines)


def read_jsonl(path: Path) -> Table:
    """One JSON object a line; a key that a line lacks becomes None."""
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise ExpError(f"{path}, line {number}: not JSON ({error}); give one object a line") from error
        if not isinstance(value, dict):
            raise ExpError(f"{path}, line {number}: {type(value).__name__} found; give one JSON object a line")
        objects.append(value)
        lines.append(number)
    names = {name: None for value in objects for name in value}
    return Table(path, {name: [value.get(name) for value in objects] for name in names}, lines)


def read_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # ParquetFile, not read_table: that one takes folders named `a=b` for columns.
        with pq.ParquetFile(path) as file:
            columns = file.read().to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise ExpError(f"{path}: not a readable Parquet file ({error})") from error
    rows = len(next(iter(columns.values()), []))
    return Table(path, columns, list(range(1, rows + 1)))


def _text(path: Path) -> str:
    require_file(path, "data")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ExpError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise ExpError(
            f"{path}, line {line}: byte 0x{byte:02x} is not UTF-8; convert the file, e.g. iconv -f latin1 -t utf-8"
        ) from error


def _unique(path: Path, names: Sequence[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ExpError(f"{path}, line 1: column {doubled[0]!r} occurs twice; is the header missing?")
