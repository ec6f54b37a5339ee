"""Workers that are forks of one process, so that they share what took seconds to import: memory as well as time."""

from __future__ import annotations

import contextlib
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
from pathlib import Path
from typing import IO, Any

from exp.run.environment import cores, gpus
from exp.work.fork_server import LONGEST
from exp.work.settings import WorkSettings

# The coordinator's path, as the workers' own: `-m` would put the working folder before the libraries.
BEGIN = (
    "import ast, sys; sys.path[:] = ast.literal_eval(sys.argv[1]); from exp.work.fork_server import main; main({!r})"
)
PROGRAM = [sys.executable]
OF_GPUS = ("/dev/nvidiactl", "/dev/kfd")  # NVIDIA's and AMD's driver


@dataclass
class Fork:
    """A worker, with the methods of subprocess.Popen that its owner calls."""

    name: str
    stdin: IO[bytes]
    server: ForkServer

    def poll(self) -> int | None:
        return self.server.code_of(self.name, 0.0)

    def wait(self, timeout: float) -> int:
        code = self.server.code_of(self.name, timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.name, timeout)
        return code

    def terminate(self) -> None:
        self.server.signal(self.name, signal.SIGTERM)

    def kill(self) -> None:
        self.server.signal(self.name, signal.SIGKILL)


@dataclass
class ForkServer:
    """The owner's side of exp.work.fork_server. That process begins with the first worker, and again where it has died.

    Args:
        environment: Of every worker.
        imports: The module that imports what they share.
    """

    environment: Mapping[str, str]
    imports: str
    started: int = 0
    codes: dict[str, int | None] = field(default_factory=dict)  # by worker; None: it runs
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False  # whether it has imported all: before, no worker is there

    def _begin(self) -> None:
        self.output, self.ready = tempfile.TemporaryFile(), False  # noqa: SIM115  closed in `close`
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, command = self.output.fileno(), [*PROGRAM, "-c", BEGIN.format(self.imports), repr(sys.path)]
        with theirs:
            self.process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=output, stderr=output, env=self.environment,
                start_new_session=True,
            )  # fmt: skip

    def start(self, slot: int, log: IO[bytes], payload: bytes) -> Fork:
        if self.process is not None and self.process.poll() is not None:
            self._has_died()
            self.close()
        if self.process is None:
            self._begin()
        name = f"{slot}-{self.started}"
        self.started += 1
        self.codes[name] = None
        reads, writes = os.pipe()
        with os.fdopen(os.memfd_create("payload"), "wb") as file:
            file.write(payload)
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            try:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has just died, as `poll` says
                    socket.send_fds(self.socket, [f"start {name}".encode()], [reads, log.fileno(), file.fileno()])
            finally:
                os.close(reads)
        return Fork(name, os.fdopen(writes, "wb"), self)

    def signal(self, name: str, number: int) -> None:
        """To a worker; to the server where that still imports."""
        if self.code_of(name, 0.0) is not None or self.process is None:
            return
        if not self.ready:
            self.process.kill()
        with contextlib.suppress(OSError):
            self.socket.send(f"signal {name} {number}".encode())

    def code_of(self, name: str, seconds: float) -> int | None:
        """The exit code of a worker, waited for `seconds` at the most. Where the server has died it is the server's."""
        end = time.monotonic() + seconds
        while self.codes[name] is None:
            if not select.select([self.socket], [], [], max(0.0, end - time.monotonic()))[0]:
                return None
            message = b""
            with contextlib.suppress(ConnectionResetError):  # it has died with a question unread
                message = self.socket.recv(LONGEST)
            what, *words = message.decode().split() or ["gone"]
            if what == "gone":
                self._has_died()
            elif what == "ready":
                self.ready = True
            else:
                self.codes[words[0]] = int(words[1])
        return self.codes[name]

    def _has_died(self) -> None:
        assert self.process is not None
        code = self.process.wait()
        self.codes = {name: code if had is None else had for name, had in self.codes.items()}

    def last_words(self) -> str:
        """What the server said before it died; nothing where it lives."""
        if self.process is None or self.process.poll() is None:
            return ""
        return os.pread(self.output.fileno(), 2**20, 0).decode(errors="replace")

    def close(self) -> None:
        """Its workers have ended, or end when they find that their standard input has."""
        if self.process is not None:
            self.socket.close()
            self.output.close()
            self.process.kill()  # it may still import
            self.process.wait()
            self.process = None


def can_fork() -> bool:
    """Whether this system has what the server asks of it, and no GPU.

    CUDA cannot be used in a fork of a process that has looked for GPUs, as some libraries do when they are imported.
    """
    if sys.platform != "linux" or gpus() or any(Path(driver).exists() for driver in OF_GPUS):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # built for an older system, or forbidden in this container
        return False
    return True


@contextlib.contextmanager
def forked(settings: WorkSettings, task: Any) -> Iterator[ForkServer | None]:
    """The server whose forks this machine's workers are; None where they cannot be, or `task` shares nothing."""
    imports = getattr(task, "imports", None)
    if imports is None or not settings.n_jobs or not can_fork():
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
