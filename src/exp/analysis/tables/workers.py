"""Worker processes on this machine: each is started once and trains many runs (exp.training.cell_trainer)."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.errors import ExpError

COMMAND = [sys.executable, "-m", "exp.training.cell_trainer", "exp.train"]
TAIL = 15  # lines of a log that are shown


@dataclass
class CellProcess:
    """One process; `busy` is whatever the caller gave with the run that it is at."""

    slot: int
    process: subprocess.Popen[str]
    log: Path
    busy: Any = None

    def send(self, message: dict[str, Any], what: Any) -> bool:
        """False where the process is gone."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return False
        self.busy = what
        return True

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL:])


@dataclass
class CellProcesses:
    """`threads` math threads a worker; one GPU each, in turn, where there are some."""

    logs: Path
    threads: int
    gpus: Sequence[str]
    config_dir: Path | None = None  # more options, as --config-dir of exp.train
    workers: dict[int, CellProcess] = field(default_factory=dict)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def start(self, slot: int) -> CellProcess:
        self.logs.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(self.threads),
            "MKL_NUM_THREADS": str(self.threads),
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONUNBUFFERED": "1",
        }
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        log = self.logs / f"worker-{os.uname().nodename}-{slot}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*COMMAND, *(["--config-dir", str(self.config_dir)] if self.config_dir else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment,
                text=True,
                start_new_session=True,  # Ctrl-C in the terminal is for us, who then decide
            )
        worker = CellProcess(slot, process, log)
        self.workers[slot] = worker
        assert process.stdout is not None
        self.selector.register(process.stdout, selectors.EVENT_READ, worker)
        return worker

    def wait(self, seconds: float) -> list[tuple[CellProcess, dict[str, Any] | None]]:
        """Answers that came; None for a worker that died instead."""
        answered = []
        for key, _ in self.selector.select(seconds):
            worker: CellProcess = key.data
            line = worker.process.stdout.readline()  # type: ignore[union-attr]
            if line:
                answered.append((worker, json.loads(line)))
            else:
                self.forget(worker)
                answered.append((worker, None))
        return answered

    def forget(self, worker: CellProcess) -> None:
        self.selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        worker.process.wait()
        self.workers.pop(worker.slot, None)

    def release(self) -> None:
        """Every worker ends after the run that it is at."""
        for worker in self.workers.values():
            if worker.process.stdin and not worker.process.stdin.closed:
                worker.process.stdin.close()

    def stop(self, seconds: float) -> None:
        """Every worker ends now: asked first, so that a run can save, then killed."""
        self.release()
        for worker in self.workers.values():
            worker.process.terminate()
        for worker in list(self.workers.values()):
            try:
                worker.process.wait(seconds)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def check_all(overrides: Sequence[tuple[str, Sequence[str]]], logs: Path, config_dir: Path | None) -> None:
    """Raises ExpError for the first config that cannot work, by the name it comes with."""
    pool = CellProcesses(logs, 1, (), config_dir)
    worker = pool.start(0)
    try:
        for name, words in overrides:
            worker.send({"check": list(words)}, name)
            assert worker.process.stdout is not None
            line = worker.process.stdout.readline()
            if not line:
                raise ExpError(f"the configs cannot be checked; the end of {worker.log}:\n{worker.tail()}")
            if error := json.loads(line)["error"]:
                raise ExpError(f"cell {name}: {error}")
    finally:
        pool.release()
        worker.process.wait()


def threads(size: int) -> int:
    """Math threads of each of `size` workers: as the environment says, else the cores shared out."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // size)
