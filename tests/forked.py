"""A Python whose processes are forks of one that has imported what takes seconds to import.

`python()` names a program that takes a command line as Python does (-m, -c or a file), and is started, signalled,
waited for and killed as Python is; a command still has a process, a working folder, an environment and an exit of its
own. What it does not show is which modules a command imports, or its parent: tests of that start `sys.executable`.
With EXP_FORKS in its environment its own `sys.executable` is this program too: what it starts is forked as well.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil

SERVER = Path(__file__).with_name("fork_server.py")
CLIENT = Path(__file__).with_name("fork_client.py")
STARTED = "EXP_FORKED_PYTHON"  # the program that pytest started for all its workers


def run(
    module: str, *words: str, cwd: Path, env: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run([python, "-m", module, *words], capture_output=True)`, but that lines end as in text."""
    command = [python(), "-m", module, *words]
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
    )
    return subprocess.CompletedProcess(command, done.returncode, _text(done.stdout), _text(done.stderr))


def started_in(folder: Path, word: str) -> list[psutil.Process]:
    """Those started in `folder` whose command line holds `word`, oldest first; none is a child of another."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if python() in line and any(word in part for part in line) and Path(process.cwd()) == folder:
                found.append(process)
    return sorted(found, key=lambda process: process.create_time())


def _text(said: bytes) -> str:
    return said.decode(errors="surrogateescape").replace("\r\n", "\n")


@functools.cache
def python() -> str:
    """The program's path. The first call waits until the process that is forked has imported all."""
    program = os.environ.get(STARTED) or start()
    subprocess.run([program, "-c", ""], check=True)  # its imports are in no test's time
    return program


def start() -> str:
    """Starts the process that is forked, which imports when the program first runs, and ends with this one."""
    folder = Path(tempfile.mkdtemp(prefix="exp-fork-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program, address = folder / "python", folder / "socket"
    body = CLIENT.read_text().replace("ADDRESS = None", f"ADDRESS = {str(address)!r}")
    program.write_text(f"#!{sys.executable} -IS\n{body}")
    program.chmod(0o755)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(64)
    server = subprocess.Popen(
        [sys.executable, "-P", str(SERVER), str(listener.fileno()), str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[listener.fileno()],
        env={**os.environ, "EXP_CACHE": str(folder)},
    )
    listener.close()
    atexit.register(server.wait)  # after it is killed
    atexit.register(server.kill)
    return str(program)
