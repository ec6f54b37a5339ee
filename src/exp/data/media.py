"""Images and recordings as cells of rows: where their bytes are. They are decoded when a batch asks for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from exp.data.rows import Rows, shortened
from exp.errors import ExpError, nearest


@dataclass(frozen=True)
class Media:
    """One image or recording. `str` of it is the digest of its contents: fingerprints of data go by `str`."""

    name: str  # for people: the path as it was given, or the place of the row
    source: Path | bytes

    def __str__(self) -> str:
        return self.digest

    @cached_property
    def digest(self) -> str:
        """sha256 of the contents."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]

    def open(self) -> BinaryIO:
        """Raises ExpError for a file that cannot be read."""
        if isinstance(self.source, bytes):
            return BytesIO(self.source)
        try:
            return self.source.open("rb")
        except OSError as error:
            raise ExpError(f"{self.source} cannot be read ({error.strerror or error})") from error


def media_of(rows: Rows, column: str) -> list[Media]:
    """The cells of a column: paths, bytes, or objects {bytes, path} as `datasets` writes them.

    A relative path is meant from the folder of the file that the row stands in.

    Raises:
        ExpError: with the row's place, for a cell that is missing, of another kind, or names no file.
    """
    return [_media(rows, column, row, cell) for row, cell in enumerate(rows.column(column))]


def _media(rows: Rows, column: str, row: int, cell: Any) -> Media:
    if isinstance(cell, Media):
        return cell
    if isinstance(cell, dict) and {"bytes", "path"} & set(cell):
        name, held = cell.get("path"), cell.get("bytes")
        if held is None:
            cell = name
        else:
            return Media(str(name or rows.where(row)), _not_empty(rows, column, row, held))
    if isinstance(cell, bytes | bytearray):
        return Media(rows.where(row), _not_empty(rows, column, row, bytes(cell)))
    if not isinstance(cell, str) or not cell:
        what = "missing" if cell in (None, "") else f"{shortened(cell)}, neither a path nor bytes"
        raise ExpError(f"{rows.where(row)}: column {column!r} is {what}")
    beside = (rows.sources[row].path if rows.sources else rows.path).parent
    path = beside / Path(cell).expanduser()
    if not path.is_file():
        near = nearest(path.name, (item.name for item in path.parent.iterdir())) if path.parent.is_dir() else ""
        raise ExpError(f"{rows.where(row)}: column {column!r} names {cell}, and there is no file {path}{near}")
    return Media(cell, path)


def _not_empty(rows: Rows, column: str, row: int, held: bytes) -> bytes:
    if not held:
        raise ExpError(f"{rows.where(row)}: column {column!r} holds no bytes")
    return held
