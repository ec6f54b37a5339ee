"""The file that keeps a study, looked at before anything is opened for writing: it may be somebody's."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

from exp.errors import ExpError
from exp.run.secrets import redacted

SQLITE_URL = "sqlite:///"
SQLITE = b"SQLite format 3\0"  # how such a file begins
OPTUNA = b'{"op_code":'  # how a line of a journal begins


def journal_path(storage: str | None, folder: Path) -> Path | None:
    """The journal's file, or None for a database. No storage means a journal in the sweep's folder."""
    if storage is None:
        return folder / "journal.log"
    if storage.startswith("journal://"):
        return Path(storage.removeprefix("journal://"))
    return Path(storage) if "://" not in storage else None


def storage_path(storage: str | None, folder: Path) -> Path | None:
    """The journal's or SQLite's file, or None for a server."""
    if storage is not None and storage.startswith(SQLITE_URL):
        return Path(storage.removeprefix(SQLITE_URL).partition("?")[0])
    return journal_path(storage, folder)


def check_storage(storage: str | None, folder: Path) -> None:
    """Looks before anything is opened for writing. Raises ExpError for a file that holds something else, and for an
    address of no kind of database that we know."""
    path = journal_path(storage, folder)
    if path is not None:
        if path.is_dir():
            raise ExpError(f"storage={storage}: {path} is a folder; name a file")
        start = _read_start(path, len(SQLITE))
        if start and not start.startswith(OPTUNA):
            database = start == SQLITE
            mend = f"for an SQLite database write sqlite:///{storage}" if database else "name another file"
            raise ExpError(f"storage={storage}: {path} is there, is no journal of Optuna, and is left as it is; {mend}")
        return
    assert storage is not None
    kind = storage.partition("://")[0].partition("+")[0]
    if kind not in ("sqlite", "postgresql", "mysql", "grpc"):
        raise ExpError(
            f"storage={redacted(storage)}: unknown kind {kind!r}; give sqlite:///file.db, postgresql://..., "
            f"mysql://..., grpc://host:port, journal:///path, or leave it out for a journal in the sweep's folder"
        )
    if kind == "grpc" and not re.fullmatch(r"grpc://[^/:]+:\d+/?", storage):
        raise ExpError(f"storage={storage}: write grpc://host:port, where optuna's run_grpc_proxy_server listens")
    if kind in ("postgresql", "mysql"):
        _check_address(storage)
    if kind == "sqlite" and storage.partition("://")[2].partition("?")[0] in ("", "/", "/:memory:"):
        raise ExpError(f"storage={storage}: it names no file, and workers are other processes; write sqlite:///file.db")
    if storage.startswith(SQLITE_URL):
        _check_sqlite(Path(storage.removeprefix(SQLITE_URL).partition("?")[0]), folder)


def _check_address(storage: str) -> None:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(storage)
    except (ValueError, ArgumentError) as error:
        raise ExpError(f"storage={redacted(storage)} is no address of a database: {error}") from None


def _check_sqlite(path: Path, folder: Path) -> None:
    beside = path.absolute().parent
    if not beside.is_dir() and beside != folder.absolute():  # that one is made
        raise ExpError(f"storage=sqlite:///{path}: there is no folder {path.parent}; make it, or name another file")
    if not path.is_file() or path.stat().st_size == 0:
        return
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as database:
            tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.OperationalError:
        return  # locked: whoever opens it says so
    except sqlite3.DatabaseError as error:
        raise ExpError(f"storage=sqlite:///{path}: {error}; it is left as it is, name another file") from None
    if tables and not {"studies", "trials"} <= tables:
        raise ExpError(
            f"storage=sqlite:///{path}: this database holds other tables ({sorted(tables)[0]}) and is left as it is; "
            "name another file"
        )


def _read_start(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""
