"""Workers that are forks of one process, so that they share what took seconds to import: memory as well as time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from exp.run.environment import cores, gpus
from exp.work.detached import is_detached
from exp.work.fork_server import LONGEST
from exp.work.settings import WorkSettings

COMMAND = [sys.executable, "-m", "exp.work.fork_server"]
ROOM = 2**20  # bytes of a pipe, as many as Linux allows


@dataclass
class Fork:
    """A worker, with the methods of subprocess.Popen that its owner calls."""

    name: str
    stdin: IO[bytes]
    server: ForkServer

    def poll(self) -> int | None:
        return self.server.code_of(self.name, 0.0)

    def wait(self, timeout: float) -> int:
        end = time.monotonic() + timeout
        while (code := self.server.code_of(self.name, max(0.0, end - time.monotonic()))) is None:
            if time.monotonic() >= end:
                raise subprocess.TimeoutExpired(COMMAND, timeout)
        return code

    def terminate(self) -> None:
        self.server.signal(self.name, signal.SIGTERM)

    def kill(self) -> None:
        self.server.signal(self.name, signal.SIGKILL)


@dataclass
class ForkServer:
    """The process that is forked. It imports while its owner does other things, and is begun again where it has died.

    Args:
        environment: Of every worker.
        imports: The module that imports what they share.
    """

    environment: Mapping[str, str]
    imports: str
    started: int = 0
    codes: dict[str, int | None] = field(default_factory=dict)  # by worker; None: it runs

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.said = tempfile.TemporaryFile()  # noqa: SIM115  by its imports
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            said, command = self.said.fileno(), [*COMMAND, self.imports]
            self.process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=said, stderr=said, env=self.environment, start_new_session=True
            )

    def start(self, slot: int, log: IO[bytes]) -> Fork:
        if self.process.poll() is not None:
            self.close()
            self._begin()
        name = f"{slot}-{self.started}"
        self.started += 1
        self.codes[name] = None
        reads, writes = os.pipe()
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, ROOM)  # what is written is read when all is imported
        try:
            with contextlib.suppress(OSError):  # it has died just now, as `poll` says
                socket.send_fds(self.socket, [f"start {name}".encode()], [reads, log.fileno()])
        finally:
            os.close(reads)
        return Fork(name, os.fdopen(writes, "wb"), self)

    def signal(self, name: str, number: int) -> None:
        with contextlib.suppress(OSError):
            self.socket.send(f"signal {name} {number}".encode())

    def code_of(self, name: str, seconds: float) -> int | None:
        """The exit code of a worker, waited for `seconds` at the most; that of the server, if it has died itself."""
        while self.codes[name] is None and select.select([self.socket], [], [], seconds)[0]:
            said = b""
            with contextlib.suppress(ConnectionResetError):  # it has died with a question unread
                said = self.socket.recv(LONGEST)
            if not said:
                code = self.process.wait()
                self.codes = {one: code if had is None else had for one, had in self.codes.items()}
                break
            _, ended, text = said.decode().split()
            self.codes[ended] = int(text)
        return self.codes[name]

    def last_words(self) -> str:
        self.said.seek(0)
        return self.said.read().decode(errors="replace")

    def close(self) -> None:
        """Its workers have ended, or end when they find that their standard input has."""
        self.socket.close()
        self.said.close()
        self.process.kill()  # it may still import
        self.process.wait()


@contextlib.contextmanager
def forked(settings: WorkSettings, task: Any) -> Iterator[ForkServer | None]:
    """For the workers of this machine. It begins to import at once. None where they cannot be forks, or share nothing.

    CUDA cannot be used in a fork of a process that has looked for GPUs, as some libraries do when they are imported.
    """
    imports = getattr(task, "imports", None)
    leaves = settings.detach and not is_detached()  # its workers are another process's
    if imports is None or leaves or not settings.n_jobs or sys.platform != "linux" or gpus():
        yield None
        return
    server = ForkServer(environment(settings.threads_each(cores())), imports)
    try:
        yield server
    finally:
        server.close()


def environment(threads: int) -> dict[str, str]:
    """Of a worker of this machine."""
    return {
        **os.environ,
        "EXP_STUDY_COORDINATOR": "stdin",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        # A data loader forks the worker, and a fork breaks the threads of a tokenizer.
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
