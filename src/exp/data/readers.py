"""Strict readers of files with rows: nothing is guessed or skipped, and what is wrong is named with its line."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from exp.data.conll import CONLLU_COLUMNS, header_of_conll, read_conll, read_conllu
from exp.data.delimited import header_of_delimited, read_delimited, read_tsv
from exp.data.encoding import lines_of, read_text
from exp.data.json_lines import read_json
from exp.data.parquet import read_parquet
from exp.data.read_options import ReadOptions, format_of
from exp.data.rows import Rows, Source, one_after_the_other
from exp.errors import ExpError, nearest

__all__ = [
    "ReadOptions",
    "Rows",
    "expand",
    "header_of",
    "read",
    "read_parquet",
    "read_tsv",
    "require_file",
    "require_format",
]

_DELIMITED: dict[str, tuple[str, str | None]] = {"csv": (",", '"'), "tsv": ("\t", None)}  # sep, quotechar
_SMALL_JSON = 1 << 20  # bytes, packed or not; below it all keys are known in some 10 ms


def read(paths: Path | Sequence[Path], options: ReadOptions | None = None) -> Rows:
    """The rows of one file, or of several one after the other.

    Several files need the same columns, in any order; JSON may lack some, which become None.

    Raises:
        ExpError: a file is missing, empty or broken, or cannot be read as `options` say; with its line.
    """
    options = options or ReadOptions()
    files = [paths] if isinstance(paths, Path) else list(paths)
    for number, file in enumerate(files):
        if file in files[:number]:
            raise ExpError(f"{file} is named twice; its rows would count twice")
        require_file(file, "data")
    formats = {format_of(file, options) for file in files}
    return one_after_the_other([_read_one(file, options) for file in files], missing_columns=formats == {"json"})


def header_of(path: Path, options: ReadOptions) -> list[str] | None:
    """Column names without the rows, in some milliseconds. None where they cost more: Parquet and large JSON."""
    what = format_of(path, options)
    if what in _DELIMITED:
        return header_of_delimited(path, options, *_DELIMITED[what])
    if what == "conll":
        return header_of_conll(path, options)
    if what == "conllu":
        return CONLLU_COLUMNS
    if what == "text":
        return _text_names(options)
    if what == "json" and path.stat().st_size <= _SMALL_JSON:
        rows = read_json(path, options)
        return [*rows.columns, *rows.refused]
    return None


def expand(text: str, base: Path | None = None) -> list[Path]:
    """The file that `text` names, or the files that it matches as a pattern (`*`, `?`, `[...]`, `**`), by name.

    Args:
        text: relative to `base`, unless it is absolute or begins with `~`.
        base: a folder; None: the working folder.

    Raises:
        ExpError: the pattern matches no file. A plain name is not looked for: see `require_file`.
    """
    try:
        name = Path(text).expanduser()
        path = (base or Path()).expanduser() / name
    except RuntimeError as error:  # ~nosuchuser
        raise ExpError(f"{text}: {error}") from error
    if not glob.has_magic(text) or os.path.lexists(path):
        return [path]
    # The folder is taken as it is, only the user's words are a pattern.
    root = None if name.is_absolute() else (base or Path()).expanduser()
    # Path.glob takes no absolute pattern, and matches hidden files.
    matches = glob.glob(str(name), root_dir=root, recursive=True)  # noqa: PTH207
    found = [(root or Path()) / match for match in matches]
    files = sorted(file for file in found if not file.is_dir())
    if not files:
        raise ExpError(f"{text}: no file matches this pattern in {path.parent if root is None else root}")
    return files


def require_file(path: Path, role: str) -> None:
    """Raise ExpError unless `path` is a readable file and not empty. `role` is the key or split it is for."""
    try:
        if path.is_symlink() and not path.exists():
            raise ExpError(f"{role}: {path} is a link to {path.readlink()}, which is not there")
        if not path.exists():
            raise ExpError(f"{role}: there is no file {path}{_siblings(path)}")
        if path.is_dir():
            raise ExpError(f"{role}: {path} is a folder; name a file in it, or a pattern such as {path / '*.csv'}")
        if not path.is_file():
            raise ExpError(f"{role}: {path} is not a file")
        if path.stat().st_size == 0:
            raise ExpError(f"{role}: {path} is empty")
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise ExpError(f"{role}: {path} cannot be read ({error.strerror})") from error
    if not os.access(path, os.R_OK):
        raise ExpError(f"{role}: {path} cannot be read (permission denied)")


def require_format(path: Path, options: ReadOptions | None = None) -> None:
    """Raise ExpError unless the ending or `options` says how to read the file."""
    format_of(path, options or ReadOptions())


def _read_one(path: Path, options: ReadOptions) -> Rows:
    what = format_of(path, options)
    if what in _DELIMITED:
        rows = read_delimited(path, options, *_DELIMITED[what])
    elif what == "json":
        rows = read_json(path, options)
    elif what == "parquet":
        rows = read_parquet(path)
    elif what == "conll":
        rows = read_conll(path, options)
    elif what == "conllu":
        rows = read_conllu(path, options)
    else:
        rows = _read_lines(path, options)
    if not len(rows):
        raise ExpError(f"{path} has no rows")
    if not rows.sources:
        rows.sources.extend([Source(path, "line")] * len(rows))
    return rows


def _read_lines(path: Path, options: ReadOptions) -> Rows:
    """Plain text: each line is a row of one column, an empty line too."""
    lines = lines_of(read_text(path, options.encoding))
    if lines[-1] == "":
        lines.pop()
    return Rows(path, {_text_names(options)[0]: lines}, list(range(1, len(lines) + 1)))


def _text_names(options: ReadOptions) -> list[str]:
    names = options.names or ["text"]
    if len(names) > 1:
        raise ExpError(f"data.names=[{','.join(names)}]: data.format=text has one column")
    return names


def _siblings(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; {path.parent} is no folder either"
    return nearest(path.name, [entry.name for entry in path.parent.iterdir()])
