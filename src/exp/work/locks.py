"""The one lock that makes a study's total exact.

A journal file, SQLite, PostgreSQL and MySQL each have their own kind of lock. The operating system or the server
releases every kind when its holder dies, so a killed worker never blocks the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any

from exp.work.database import with_driver, without_dead_connections
from exp.work.storage_file import journal_path


class FileLock:
    """flock on a file of its own. Optuna's own lock file survives its holder and then blocks for 30 s."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle: int | None = None

    def acquire(self) -> bool:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self.handle = handle
        return True

    def release(self) -> None:
        if self.handle is not None:
            fcntl.flock(self.handle, fcntl.LOCK_UN)  # closing would not do: a forked data loader may hold a copy
            os.close(self.handle)
            self.handle = None


class ClaimLock:
    """The lock under which a slot is taken or freed. One process of all that work on the study holds it at a time."""

    def __init__(self, storage: str | None, folder: Path, study: str) -> None:
        self.url = storage
        self.number = int.from_bytes(hashlib.sha256(f"exp {study}".encode()).digest()[:7], "big")
        path = journal_path(storage, folder)
        if path is None and storage is not None and storage.startswith("sqlite"):
            path = Path(storage.partition(":///")[2].partition("?")[0] or "memory")
        if storage is not None and storage.startswith("grpc"):
            path = folder / "study"  # the proxy has no locks; the folder is one that all workers see
        self.file = FileLock(path.with_name(path.name + ".claim")) if path is not None else None
        self.engine: Any = None
        self.connection: Any = None

    def __enter__(self) -> None:
        if self.file is not None:
            self.file.acquire()
            return
        import sqlalchemy

        if self.engine is None:
            assert self.url is not None
            self.engine = sqlalchemy.create_engine(with_driver(self.url), pool_size=1)
            without_dead_connections(self.engine)
        self.connection = self.engine.connect()
        try:
            if self.url.startswith("mysql"):  # type: ignore[union-attr]
                self.connection.execute(sqlalchemy.text(f"SELECT GET_LOCK('exp{self.number}', -1)"))
            else:
                self.connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({self.number})"))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.release()
        elif self.connection is not None:
            import sqlalchemy

            try:
                self.connection.execute(sqlalchemy.text(f"SELECT {self._unlock_call}"))
                self.connection.commit()
            except Exception:
                # The lock belongs to the connection. Closing it releases the lock, also if the server is gone.
                with contextlib.suppress(Exception):
                    self.connection.invalidate()
            with contextlib.suppress(Exception):
                self.connection.close()  # kept for the next time: to connect costs PostgreSQL a process
            self.connection = None

    def close(self) -> None:
        """Gives up the connection that was kept."""
        if self.engine is not None:
            self.engine.dispose()

    @property
    def _unlock_call(self) -> str:
        if self.url is not None and self.url.startswith("mysql"):
            return f"RELEASE_LOCK('exp{self.number}')"
        # A transaction number makes the server flush this commit and all commits before it: see open_storage.
        return f"pg_advisory_unlock({self.number}), txid_current()"
