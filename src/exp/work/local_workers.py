"""Worker processes on this machine. Each keeps running for many trials, with its own threads and GPU."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from exp.errors import ExpError
from exp.work import worker_process
from exp.work.forks import Fork, ForkServer, environment
from exp.work.settings import gpus_of

COMMAND = [sys.executable, "-m", "exp.work.worker_process"]
END_SECONDS = 30.0  # for a worker to end by itself, once nothing is left to do
MAX_DEATHS = 3  # workers that die one after the other before they take a trial


@dataclass
class LocalWorkers:
    """Keeps `size` workers running while there is work."""

    payload: bytes  # see pack_worker
    logs: Path
    size: int
    threads: int
    gpus: list[str]
    say: Callable[[str], None]
    processes: int = 1  # of each worker's trial, with a GPU each
    server: ForkServer | None = None  # whose forks they are; None: each is a Python of its own
    running: dict[int, subprocess.Popen[bytes] | Fork] = field(default_factory=dict)
    deaths: int = 0  # in a row, without a trial told in between

    @property
    def busy(self) -> int:
        return len(self.running)

    @property
    def handed_over(self) -> bool:
        return True

    def fill(self, wanted: int) -> None:
        """Starts workers until `wanted` run, at most `size`."""
        for slot in range(self.size):
            if slot not in self.running and len(self.running) < wanted:
                self.running[slot] = self._start(slot)

    def reap(self, trials_done: int, trials_done_before: int) -> bool:
        """Forgets workers that ended. True if one of them died."""
        died = False
        for slot, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[slot]
            if process.stdin:
                process.stdin.close()
            if code == worker_process.NO_ROOM:
                raise ExpError(f"the disk is full: make room, then the same command goes on. {self.tail(slot, 1)}")
            if code != 0:
                died = True
                self.deaths = 1 if trials_done > trials_done_before else self.deaths + 1
                why = f"signal {-code}" if code < 0 else f"exit code {code}"
                self.say(f"worker {slot} died ({why}); see {self._log(slot)}")
                if self.deaths > MAX_DEATHS * self.size:
                    raise ExpError(
                        f"workers die without finishing a trial ({why} the last time). "
                        f"The end of {self._log(slot)}:\n{self.tail(slot)}"
                    )
        return died

    def release(self) -> None:
        """Asks every worker to end after its trial."""
        for process in self.running.values():
            if process.stdin and not process.stdin.closed:
                process.stdin.close()

    def stop(self, seconds: float) -> None:
        """Ends every worker now: asks first, and kills after `seconds`."""
        self.release()
        for process in self.running.values():
            process.terminate()
        end = time.monotonic() + seconds
        for process in self.running.values():
            _wait_or_kill(process, end)
        self.running.clear()

    def leave(self) -> None:
        """Waits until every worker has ended by itself, because the work is complete; a halted one is killed."""
        self.release()
        end = time.monotonic() + END_SECONDS
        for process in self.running.values():
            _wait_or_kill(process, end)
        self.running.clear()

    def tail(self, slot: int, lines: int = 12) -> str:
        said = self.server.last_words() if self.server else ""
        said = said or self._log(slot).read_text(errors="replace")
        return "\n".join(said.splitlines()[-lines:])

    def _log(self, slot: int) -> Path:
        return self.logs / f"worker-{slot}.log"

    def _start(self, slot: int) -> subprocess.Popen[bytes] | Fork:
        with self._log(slot).open("ab") as log:
            return self.server.start(slot, log, self.payload) if self.server else self._alone(slot, log)

    def _alone(self, slot: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        given = {**environment(self.threads), worker_process.NAME: str(slot)}
        if self.gpus:
            given["CUDA_VISIBLE_DEVICES"] = gpus_of(slot, self.processes, self.gpus)
        process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=log, stderr=log, env=given, start_new_session=True
        )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once; `reap` says so
            process.stdin.write(len(self.payload).to_bytes(8, "big") + self.payload)
            process.stdin.flush()
        return process


def _wait_or_kill(process: subprocess.Popen[bytes] | Fork, end: float) -> None:
    try:
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # a disk that does not answer holds it
            process.wait(END_SECONDS)


def pack_worker(worker: Callable[[], Any]) -> bytes:
    """What exp.work.worker_process takes. Raises ExpError for a task that cannot be sent to another process."""
    import cloudpickle
    from hydra.core.singleton import Singleton

    try:
        payload = cloudpickle.dumps((Singleton.get_state(), worker))
    except Exception as error:  # pickling runs anyone's code
        raise ExpError(
            f"the task cannot be sent to a worker process ({error}); n_jobs=0 runs it in this one"
        ) from error
    return pickle.dumps([item or str(Path.cwd()) for item in sys.path]) + payload
