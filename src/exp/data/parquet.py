"""Rows of a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exp.data.rows import Rows, Source, unique_names
from exp.errors import ExpError


def read_parquet(path: Path) -> Rows:
    """Cells as Python values; integers keep all 64 bits. Raises ExpError for a file that is no readable Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # ParquetFile, not read_table: that one takes folders named `a=b` for columns.
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ExpError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    names, refused = unique_names(table.column_names, str(path))
    columns: dict[str, list[Any]] = {}
    for name, column in zip(names, table.columns, strict=True):
        try:
            columns[name] = column.to_pylist()
        except (pa.ArrowException, ValueError, OverflowError) as error:
            # Text that is not UTF-8, or a time that Python has no value for.
            refused[name] = f"{path}, row {_first_unreadable(column)}: column {name!r} cannot be read ({error})"
    lines = list(range(1, table.num_rows + 1))
    return Rows(path, columns, lines, refused=refused, sources=[Source(path, "row")] * len(lines))


def _first_unreadable(column: Any) -> int:
    for number, cell in enumerate(column, start=1):
        try:
            cell.as_py()
        except (ValueError, OverflowError):
            return number
    return 0
