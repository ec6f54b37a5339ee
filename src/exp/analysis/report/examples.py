"""A run's wrong answers, the worst first, as a page shows them: texts that fit a cell, images and recordings inside."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.analysis.run_data import RunData

SHOWN = 8  # wrong answers of a split
LONGEST = 240  # characters of a cell
LARGEST = 300_000  # bytes of an image or a recording
MACHINES = ("scores", "start", "end", "length")  # columns for programs


def wrong_answers(run: RunData) -> dict[str, Any]:
    """Split -> {columns, rows, media}: cells are texts; media has a data: address or null a row, and may be empty.

    From `errors/`, which the task has written; files that cannot be read are left out, and no link is followed.
    """
    folder = run.folder and run.folder / "errors"
    if folder is None or folder.is_symlink() or not folder.is_dir():
        return {}
    found = {}
    for path in sorted(folder.glob("*.parquet")):
        rows = _rows(path)
        if rows:
            media = _media(folder / path.stem, len(rows))
            columns = [name for name in rows[0] if name not in MACHINES and not (media and name in ("image", "audio"))]
            cells = [[_text(row[name]) for name in columns] for row in rows]
            found[path.stem] = {"columns": [name.replace("_", " ") for name in columns], "rows": cells, "media": media}
    return found


def _rows(path: Path) -> list[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    if path.is_symlink():
        return []
    try:
        with parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(SHOWN), None)
    except (OSError, ValueError, pa.ArrowException):
        return []
    return [] if batch is None else batch.to_pylist()


def _media(folder: Path, count: int) -> list[str | None]:
    """Of the first `count` wrong answers, whose copies are named 00.jpg, 01.jpg."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    kept = {path.stem: path for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    return [_address(kept.get(f"{row:02}")) for row in range(count)]


def _address(path: Path | None) -> str | None:
    kind = mimetypes.guess_type(path.name.lower())[0] if path else None
    if path is None or kind is None or not kind.startswith(("image/", "audio/")) or kind == "image/svg+xml":
        return None
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}" if len(data) <= LARGEST else None


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        alike = len(value) > 1 and all(one == value[0] for one in value)  # SQuAD's annotators often agree
        value = _text(value[0]) if alike else (" " if _words(value) else "; ").join(map(_text, value))
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _words(value: list[Any]) -> bool:
    return all(isinstance(one, str) and " " not in one for one in value)
