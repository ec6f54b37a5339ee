"""One process a run folder: a lock that a dead holder does not keep."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exp.errors import ExpError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds `folder`/.lock; raises ExpError while another process does. The kernel frees it when the holder dies."""
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise ExpError(f"{folder} is being written by {holder}; wait for it to end or stop it first") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """True while a living process on this machine writes into the run folder."""
    try:
        with locked(folder):
            return False
    except (ExpError, OSError):
        return True
