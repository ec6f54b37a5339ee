"""python -m exp.work.worker_process <file>: runs the worker that the file holds."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path


def main() -> None:
    # A session of its own: Ctrl-C in the terminal is for the coordinator, which then tells its workers.
    with Path(sys.argv[1]).open("rb") as file:
        sys.path[:] = pickle.load(file)
        state, worker = pickle.load(file)
    from hydra.core.singleton import Singleton
    from hydra.core.utils import setup_globals

    Singleton.set_state(state)
    setup_globals()
    worker.name = os.environ["EXP_STUDY_WORKER"]
    worker()


if __name__ == "__main__":
    main()
