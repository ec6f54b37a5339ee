"""One process a run folder: a claim that ends with its process, and a lock that the kernel frees."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from exp.errors import ExpError
from exp.run.process import lives, this_process

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds `folder`/.lock, which names this process; raises ExpError while another process does.

    The kernel frees it when the holder dies.
    """
    with _open(folder) as file:
        _hold(file, folder)
        _sign(file)
        yield


def claim(folder: Path) -> bool:
    """Writes this process into `folder`/.lock, by one atomic act; False where a living process stands there.

    A claim lasts as long as its process, so that a start that was killed before it wrote run.json blocks nobody.
    """
    with _open(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        before = _read(file)
        if before is not None and lives(before) is not False:
            return False
        _sign(file)
    return True


def is_locked(folder: Path) -> bool:
    """True while a living process on this machine writes into the run folder."""
    try:
        with _open(folder) as file:
            _hold(file, folder)
            return False
    except (ExpError, OSError):
        return True


def _open(folder: Path) -> IO[str]:
    # A link in a folder from elsewhere would have its target cut.
    return os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+")


def _hold(file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _read(file)
        who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        raise ExpError(f"{folder} is being written by {who}; wait for it to end or stop it first") from None


def _read(file: IO[str]) -> Mapping[str, Any] | None:
    """What the file says of its last holder; None where it says nothing."""
    file.seek(0)
    try:
        found = json.loads(file.read())
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"pid", "host"} <= set(found) else None


def _sign(file: IO[str]) -> None:
    file.seek(0)
    file.truncate(0)
    file.write(json.dumps(this_process()))
    file.flush()
