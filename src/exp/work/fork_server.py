"""python -m exp.work.fork_server [MODULE]: imports once what every worker needs, and forks workers.

Standard input is a socket to the coordinator; its end ends this process. `start NAME` comes with two files, the
worker's standard input and its log; `signal NAME NUMBER` is handed on; the coordinator hears `ended NAME CODE`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import socket
import sys
from typing import Any

from exp.work import worker_process

LONGEST = 256  # bytes of a message


def main() -> None:
    for name in sys.argv[1:]:
        with contextlib.suppress(ImportError):  # a worker that needs it says so
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a worker would copy what all share
    serve(socket.socket(fileno=os.dup(0)))
    worker_process.main()


def serve(coordinator: socket.socket) -> None:
    """Returns in a worker's process, whose name, files and session are its own."""
    running: dict[int, tuple[str, int]] = {}  # a file, readable when the process has ended -> worker and process
    while True:
        watched: list[Any] = [coordinator, *running]
        ready, _, _ = select.select(watched, [], [])
        for ended in [file for file in ready if file in running]:
            worker, process = running.pop(ended)
            os.close(ended)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            with contextlib.suppress(OSError):  # nobody listens any more
                coordinator.send(f"ended {worker} {code}".encode())
        if coordinator not in ready:
            continue
        said, files, _, _ = socket.recv_fds(coordinator, LONGEST, 2)
        if not said:
            os._exit(0)
        what, worker, *rest = said.decode().split()
        if what == "signal":
            for name, process in running.values():
                if name == worker:
                    os.kill(process, int(*rest))
            continue
        process = os.fork()
        if not process:
            for file in (coordinator.detach(), *running):
                os.close(file)
            _become(worker, *files)
            return
        for file in files:
            os.close(file)
        running[os.pidfd_open(process)] = worker, process


def _become(worker: str, stdin: int, log: int) -> None:
    os.setsid()
    for number, file in ((0, stdin), (1, log), (2, log)):
        os.dup2(file, number)
    for file in (stdin, log):
        os.close(file)
    os.environ[worker_process.NAME] = worker.partition("-")[0]
    if "numpy" in sys.modules:  # Python's own generator sees to itself
        sys.modules["numpy"].random.seed()


if __name__ == "__main__":
    main()
