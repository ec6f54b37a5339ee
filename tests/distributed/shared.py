"""What the tests of several processes share."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# A run that two processes train in seconds, as a user gives it.
QUICK = [
    *("tracker=none", "data.max_train_samples=161", "data.max_eval_samples=40", "num_train_epochs=2"),
    *("logging_steps=1", "save_strategy=steps", "save_steps=3", "per_device_train_batch_size=4"),
]


def once(factory, name: str, make) -> Path:
    """A folder that `make` fills, for all of pytest's workers together."""
    above = factory.getbasetemp().parent if os.environ.get("PYTEST_XDIST_WORKER") else factory.getbasetemp()
    with (above / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        folder = above / name
        if not folder.exists():
            folder.mkdir()
            make(folder)
        return folder
