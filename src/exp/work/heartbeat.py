"""How a worker tells the others that it lives, a record with a time stamp among the study's attributes; and how the
others tell from it that a worker has died."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from exp.run.process import is_stopped, lives, machine, this_process
from exp.work.storage import open_storage, retrying

CLOCK_SKEW = 300.0  # seconds that the clocks of two machines may differ


def heartbeat_key(worker: str) -> str:
    return f"worker {worker}"


def stop_key(coordinator: str) -> str:
    """The study's user attribute that tells the workers of this coordinator to end."""
    return f"stop {coordinator}"


class Heartbeat:
    """Writes a worker's record with a time stamp from a thread, because a training step may take long."""

    def __init__(self, storage: str | None, folder: Path, study: str, worker: str, every: float) -> None:
        self.worker = worker
        self.every = every
        self.ended = threading.Event()
        self.record = this_process()
        if "SLURM_JOB_ID" in os.environ:
            self.record["slurm"] = os.environ["SLURM_JOB_ID"]
        self.study = retrying(
            lambda: optuna.load_study(study_name=study, storage=open_storage(storage, folder, rarely=True)), 120.0
        )
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


class SignsOfLife:
    """What one process has seen of the others' heartbeats. Nobody is dead before `stale_after` seconds without one,
    but who ran on this machine and does not any more."""

    def __init__(self, stale_after: float) -> None:
        self.stale_after = stale_after
        self.seen: dict[str, tuple[Any, float]] = {}  # worker -> time stamp of its last heartbeat, when it was seen
        self.looked = 0.0  # by the monotonic clock

    def note_absence(self) -> None:
        """Heartbeats that could not be seen are not missing: the storage was away, or this process was suspended."""
        now = time.monotonic()
        if now - self.looked > self.stale_after / 2:
            self.seen = {worker: (beat, now) for worker, (beat, _) in self.seen.items()}
        self.looked = now

    def is_alive(self, worker: str, beat: dict[str, Any]) -> bool:
        if beat["machine"] == machine():
            if not lives(beat):
                return False
            if not is_stopped(beat["pid"]):
                return True
        elif time.time() - beat["time"] > self.stale_after + CLOCK_SKEW:
            return False
        # Another machine's clock may be wrong. So measure by our own clock since we saw the last new heartbeat.
        known, since = self.seen.get(worker, (None, 0.0))
        if known != beat["time"]:
            self.seen[worker] = (beat["time"], time.monotonic())
            return True
        return time.monotonic() - since < self.stale_after

    def runs(self, worker: str | None, beats: Mapping[str, Any]) -> bool:
        """Whether the worker of a running trial lives. None: it sets its name under the lock, and died in between."""
        beat = beats.get(heartbeat_key(worker)) if worker is not None else None
        return worker is not None and beat is not None and self.is_alive(worker, beat)
