"""The process whose forks are the workers of one machine: it imports once what all of them need.

Standard input is a socket to the coordinator; its end ends this process, but no worker. The coordinator sends
`start NAME` with three files (the worker's standard input, its log and its payload) and `signal NAME NUMBER`. It hears
`ready` when all is imported, and `ended NAME CODE`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from exp.work import trial_queue, worker_process
from exp.work.worker import COMMIT

LONGEST = 256  # bytes of a message
HANDED_ON = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


def main(imports: str) -> None:
    # A scheduler signals every process of a job. This one outlives the workers, whose exit codes the coordinator needs.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in HANDED_ON}
    try:
        importlib.import_module(imports)
    except Exception:  # a worker that needs it says so itself
        traceback.print_exc()
    os.environ[COMMIT] = trial_queue.code_commit() or ""
    gc.collect()
    gc.freeze()  # a collection in a worker would copy what all share
    coordinator = socket.socket(fileno=os.dup(0))
    payload = serve(coordinator)
    for number, handler in before.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_ON)
    with os.fdopen(payload, "rb") as file:
        worker_process.work(file)


def serve(coordinator: socket.socket) -> int:
    """Returns in a worker's process, whose name, files and session are its own: the file that holds its payload.

    A signal that comes to it now waits, or it would be lost: the worker still ignores what this process ignores.
    """
    running: dict[int, tuple[str, int]] = {}  # a file, readable when the process has ended -> worker and process

    def say(text: str) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more
            coordinator.send(text.encode())

    say("ready")
    while True:
        watched: list[Any] = [coordinator, *running]
        ready, _, _ = select.select(watched, [], [])
        for ended in [file for file in ready if file in running]:
            worker, process = running.pop(ended)
            os.close(ended)
            say(f"ended {worker} {os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}")
        if coordinator not in ready:
            continue
        said, files, _, _ = socket.recv_fds(coordinator, LONGEST, 3)
        if not said:
            os._exit(0)
        what, worker, *rest = said.decode().split()
        if what == "signal":
            for name, process in running.values():
                if name == worker:
                    os.kill(process, int(*rest))
            continue
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_ON)
        try:
            process = os.fork()
        except OSError as error:
            Path(f"/proc/self/fd/{files[1]}").write_text(f"cannot start: {error.strerror}\n")
            say(f"ended {worker} {os.EX_OSERR}")
            process = -1
        if not process:
            for file in (coordinator.detach(), *running):
                os.close(file)
            return _become(worker, *files)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_ON)
        for file in files:
            os.close(file)
        if process > 0:
            running[os.pidfd_open(process)] = worker, process


def _become(worker: str, stdin: int, log: int, payload: int) -> int:
    os.setsid()
    for number, file in ((0, stdin), (1, log), (2, log)):
        os.dup2(file, number)
    for file in (stdin, log):
        os.close(file)
    os.environ[worker_process.NAME] = worker.partition("-")[0]
    if "numpy" in sys.modules:  # Python's `random` does this itself
        sys.modules["numpy"].random.seed()
    return payload
