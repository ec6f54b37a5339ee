"""A cache of run records, for thousands of runs. Safe to delete at any time.

A row is used only while size and time of run.json, result.json and metrics.jsonl are what they were.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from exp.analysis.run_data import RunData, dumps
from exp.errors import ExpError
from exp.options.confdir import cache_dir

# A row written by another layout of RunData is never read.
LAYOUT = 2
APPLICATION = 0x45585049  # "EXPI", SQLite's number for whose a file is
WATCHED = ("run.json", "result.json", "metrics.jsonl")


def default_path() -> Path:
    return cache_dir() / "runs.sqlite"


def stamp(folder: Path) -> str:
    """Changes when one of the files changes; a missing file counts."""
    parts = []
    for name in WATCHED:
        try:
            at = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 (three calls a run, ten thousand runs)
            parts.append(f"{at.st_size}.{at.st_mtime_ns}")
        except OSError:
            parts.append("-")
    return " ".join(parts)


class Index:
    """Does without where the file cannot be read or written: it only saves time.

    Args:
        path: None for the usual place. A file that someone names and that is no index is theirs, and left as it is.

    Raises:
        ExpError: for such a file.
    """

    def __init__(self, path: Path | None) -> None:
        self.connection: sqlite3.Connection | None = None
        named, path = path is not None, path or default_path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not _is_index(path):
                if named:
                    raise ExpError(f"{path} is no index of runs: name another file with --index, or move it away")
                path.unlink()  # damaged
            self.connection = _open(path)
        except (OSError, sqlite3.Error) as error:
            if named:
                raise ExpError(f"--index {path} cannot be used ({error}); name another file") from None

    def load(self, folders: Iterable[Path]) -> dict[str, tuple[str, RunData]]:
        """Known rows by folder: stamp and run."""
        if self.connection is None:
            return {}
        wanted = {str(folder) for folder in folders}
        found = {}
        try:
            for folder, at, text in self.connection.execute(
                "select folder, stamp, run from runs where layout = ?", (LAYOUT,)
            ):
                if folder in wanted:
                    found[folder] = (at, RunData.from_json(json.loads(text)))
        except (sqlite3.Error, ValueError, TypeError, KeyError):
            return {}
        return found

    def save(self, rows: Iterable[tuple[str, RunData]]) -> None:
        if self.connection is None:
            return
        try:
            with self.connection:
                self.connection.executemany(
                    "insert or replace into runs values (?, ?, ?, ?)",
                    ((run.source, LAYOUT, at, dumps(run)) for at, run in rows),
                )
        except sqlite3.Error:
            pass

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


def _is_index(path: Path) -> bool:
    """Whether exp made the file: an empty one, or SQLite's with our number in its header (bytes 68 to 71)."""
    with path.open("rb") as file:
        head = file.read(72)
    return not head or (head.startswith(b"SQLite format 3\0") and head[68:] == APPLICATION.to_bytes(4, "big"))


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=1.0)
    connection.execute(f"pragma application_id = {APPLICATION}")
    connection.execute("create table if not exists runs (folder text primary key, layout int, stamp text, run text)")
    return connection
