"""How a worker tells the others that it lives: a record with a time stamp among the study's attributes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import optuna

from exp.run.process import this_process
from exp.work.storage import open_storage, retrying


def heartbeat_key(worker: str) -> str:
    return f"worker {worker}"


def stop_key(coordinator: str) -> str:
    """The study's user attribute that tells the workers of this coordinator to end."""
    return f"stop {coordinator}"


class Heartbeat:
    """Writes a worker's record with a time stamp from a thread, because a training step may take long."""

    def __init__(self, storage: str | None, folder: Path, study: str, worker: str, every: float) -> None:
        self.args = (storage, folder, study)
        self.worker = worker
        self.every = every
        self.ended = threading.Event()
        self.record = this_process()
        if "SLURM_JOB_ID" in os.environ:
            self.record["slurm"] = os.environ["SLURM_JOB_ID"]
        self.study = optuna.load_study(study_name=study, storage=open_storage(storage, folder))
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heartbeat:
        retrying(self.beat, 120.0)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()

    def beat(self) -> None:
        self.study.set_user_attr(heartbeat_key(self.worker), {**self.record, "time": time.time()})

    def _beat(self) -> None:
        while not self.ended.wait(self.every):
            try:
                self.beat()
            except Exception as error:  # the storage does not answer; the next heartbeat may succeed
                print(f"worker {self.worker}: no heartbeat written ({type(error).__name__})", flush=True)
