"""Where a study is kept: a journal file, SQLite, a database server, or a proxy in front of one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from optuna.storages.journal import JournalFileBackend

from exp.compat.optuna import passing
from exp.errors import ExpError
from exp.run.files import disk_trouble, no_room
from exp.run.secrets import redacted
from exp.work.database import with_driver, without_dead_connections
from exp.work.locks import ClaimLock, FileLock
from exp.work.storage_file import check_storage, journal_path

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

T = TypeVar("T")
GONE_SECONDS = 5.0  # that a file may be missing, on a slow network disk, until it counts as deleted
SQLITE_WAIT = 20.0  # seconds until another process releases the file


class RepairedJournal(JournalFileBackend):
    """Optuna's journal, cut back to whole lines after a full disk. Half a line would break every later reader.

    A line is there for all processes at once, and stays when they are killed. Whether it is on the disk, should the
    machine stop, is waited for where a trial is claimed or told, and where the study is described. What lies between
    (drawn values, reports, heartbeats) gets there with the next of these.
    """

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(path.with_name(path.name + ".lock"))
        super().__init__(str(path), self.lock)  # type: ignore[arg-type]
        self.lock.acquire()
        try:
            text = path.read_bytes()
            if text and not text.endswith(b"\n"):
                os.truncate(path, text.rfind(b"\n") + 1)
            self.is_file = _identity(path)
        finally:
            self.lock.release()

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Raises FileNotFoundError where the file is gone, or another one is in its place."""
        self._check_there()
        yield from super().read_logs(log_number_from)

    def _check_there(self) -> None:
        # Whoever makes a folder below a deleted one makes that one too, and a file there would be begun anew.
        if _identity(Path(self._file_path)) != self.is_file:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._file_path)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        self.lock.acquire()
        try:
            self._check_there()
            with Path(self._file_path).open("ab") as file:
                before = file.tell()
                try:
                    file.write(text)
                    file.flush()
                    if not all(passing(log) for log in logs):
                        os.fsync(file.fileno())
                except OSError:
                    os.truncate(self._file_path, before)
                    raise
        finally:
            self.lock.release()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def open_storage(storage: str | None, folder: Path, *, rarely: bool = False) -> BaseStorage:
    """Raises ExpError for a URL that names no kind of database we know, or one whose driver is missing.

    Args:
        rarely: For one call now and then: no connection to a server is kept.
    """
    import optuna

    check_storage(storage, folder)
    path = journal_path(storage, folder)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return optuna.storages.JournalStorage(RepairedJournal(path))
        except (ValueError, KeyError) as error:
            raise ExpError(f"{path} is no journal of Optuna ({error})") from None
    assert storage is not None
    kind = storage.partition("://")[0].partition("+")[0]
    if kind == "grpc":
        return _proxy(storage)
    url = with_driver(storage)
    # One connection is kept: a server has a hundred for all. The default for MySQL asks for a ping; see _database.
    options: dict[str, Any] = {"pool_size": 1, "pool_pre_ping": False}
    if kind == "postgresql":
        # A trial is a dozen commits, and each would wait for the disk. The lock's own, at the end of a claim and of a
        # tell, waits for all before it; what lies between (drawn values, reports) is on disk within 0.6 s.
        options["connect_args"] = {"options": "-c synchronous_commit=off"}
    if kind == "sqlite":
        options = {"connect_args": {"timeout": SQLITE_WAIT}}
    tables = ClaimLock(storage, folder, "tables")  # two processes that make the tables at once would collide
    try:
        with tables:
            return _database(url, options, kept=not rarely)
    finally:
        tables.close()


def _proxy(storage: str) -> BaseStorage:
    """Optuna's own server in front of a database: `optuna.storages.run_grpc_proxy_server`."""
    import optuna

    host, _, port = storage.removeprefix("grpc://").rstrip("/").rpartition(":")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    except ImportError as error:
        raise ExpError(f"storage={storage}: {error}; pip install grpcio protobuf") from None


def _database(url: str, options: dict[str, Any], *, kept: bool) -> BaseStorage:
    import optuna
    from sqlalchemy import NullPool

    if not kept:
        options = {**options, "poolclass": NullPool}
        options.pop("pool_size", None)
    try:
        database = optuna.storages.RDBStorage(url, engine_kwargs=options)
    except ImportError as error:
        extra = "pip install 'exp[postgres]'" if url.startswith("postgresql") else "pip install pymysql"
        raise ExpError(f"storage={redacted(url)}: its driver is missing ({error}); {extra}") from None
    if not url.startswith("sqlite"):
        without_dead_connections(database.engine)
    return optuna.storages.get_storage(database)


@contextlib.contextmanager
def opening_errors(storage: str | None, folder: Path) -> Iterator[None]:
    """Turns what a storage raises, when it is opened for the first time, into an ExpError."""
    try:
        yield
    except OSError as error:
        raise ExpError(
            f"cannot write the study to {journal_path(storage, folder)}: {error.strerror or error}"
        ) from None
    except Exception as error:
        if not _is_storage_error(error):
            raise
        cause = getattr(error.__cause__ or error, "orig", None) or error
        told = cause.details() if hasattr(cause, "details") else cause  # grpc's own text is a block of lines
        raise ExpError(f"cannot open storage={redacted(storage or '')}: {str(told).strip().splitlines()[0]}") from None


def retrying(work: Callable[[], T], seconds: float, say: Callable[[str], None] = lambda text: None) -> T:
    """`work()`, tried again for up to `seconds` while the storage does not answer; `work` may run twice."""
    begun = time.monotonic()
    wait = 0.2
    while True:
        try:
            return work()
        except Exception as error:
            if no_room(error):  # waiting makes none
                raise ExpError(
                    f"the study cannot be written: {disk_trouble(error)}. Make room; the same command goes on"
                ) from error
            waited = time.monotonic() - begun
            if isinstance(error, FileNotFoundError) and waited > GONE_SECONDS:
                raise ExpError(
                    f"the study cannot be written: {error.filename} is gone. Was its folder deleted? What it held is "
                    "lost; the same command begins it anew"
                ) from error
            if not (_is_storage_error(error) or isinstance(error, OSError)) or waited > seconds:
                raise
            say(f"storage does not answer ({type(error).__name__}), trying again in {wait:.1f} s")
            time.sleep(wait)
            wait = min(wait * 2, 5.0)


def _is_storage_error(error: BaseException) -> bool:
    import optuna

    own = type(error).__module__.partition(".")[0]
    return isinstance(error, optuna.exceptions.StorageInternalError) or own in (
        "sqlalchemy",
        "psycopg2",
        "psycopg",
        "grpc",
    )


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silences Optuna's own log lines, which would mix with ours."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
