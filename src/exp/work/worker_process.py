"""python -m exp.work.worker_process: runs the worker that comes through standard input.

No file holds it: a pickle in a folder would be run for whoever put it there, and it knows the storage's password.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
from typing import IO

from exp.run.files import NoRoom

NO_ROOM = 74  # sysexits.h EX_IOERR
NAME = "EXP_STUDY_WORKER"  # in the environment


def main() -> None:
    # A session of its own: Ctrl-C in the terminal is for the coordinator, which then tells its workers.
    size = int.from_bytes(_read(8), "big")
    work(io.BytesIO(_read(size)))


def work(file: IO[bytes]) -> None:
    """Runs the worker in `file`, as exp.work.local_workers.pack_worker has packed it."""
    sys.path[:] = pickle.load(file)
    state, worker = pickle.load(file)
    from hydra.core.singleton import Singleton
    from hydra.core.utils import setup_globals

    Singleton.set_state(state)
    setup_globals()
    worker.name = os.environ[NAME]
    try:
        worker()
    except NoRoom:
        raise SystemExit(NO_ROOM) from None


def _read(size: int) -> bytes:
    """Exactly `size` bytes, past Python's buffer; the coordinator closes standard input to stop the worker."""
    got = b""
    while len(got) < size:
        piece = os.read(sys.stdin.fileno(), size - len(got))
        if not piece:
            raise SystemExit(1)  # the coordinator has ended
        got += piece
    return got


if __name__ == "__main__":
    main()
