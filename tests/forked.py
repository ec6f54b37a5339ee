"""`python -m exp.<command>` in a fork of a process that has imported what takes seconds to import.

A command still has a process, a working folder, an environment and an exit of its own. What it does not show is which
modules it imports: tests of that start a new interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Libraries only: a command imports exp for itself.
HEAVY = (
    *(
        "torch",
        "transformers.trainer",
        "transformers.models.bert.modeling_bert",
        "transformers.models.auto.modeling_auto",
    ),
    *("transformers.tokenization_utils_tokenizers", "datasets", "accelerate", "peft", "optuna", "wandb", "pandas"),
    *("pyarrow.parquet", "sklearn.metrics", "scipy.stats", "matplotlib.pyplot", "hydra", "rich.table"),
)


def run(
    module: str, *words: str, cwd: Path, env: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run([python, "-m", module, *words], capture_output=True, text=True)`."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        job = {"module": module, "words": words, "cwd": str(cwd), "env": dict(env), "out": str(out), "err": str(err)}
        server = _server()
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(job).encode() + b"\n")
        server.stdin.flush()
        process = int(server.stdout.readline())
        late = not select.select([server.stdout], [], [], timeout)[0]
        if late:
            os.kill(process, signal.SIGKILL)
        code = int(server.stdout.readline())
        command = [sys.executable, "-m", module, *words]
        if late:
            raise subprocess.TimeoutExpired(command, timeout, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(command, code, _text(out), _text(err))


def _text(file: Path) -> str:
    return file.read_bytes().decode(errors="surrogateescape").replace("\r\n", "\n")


@functools.cache
def _server() -> subprocess.Popen[bytes]:
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    atexit.register(server.kill)
    return server


def _job(replies: int) -> dict:
    """Serves until the pipe is closed; returns in a child that has a job to do."""
    for line in iter(sys.stdin.buffer.readline, b""):
        job = json.loads(line)
        child = os.fork()
        if not child:
            os.close(replies)
            return job
        os.write(replies, b"%d\n" % child)
        os.write(replies, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


if __name__ == "__main__":
    replies = os.dup(1)
    os.dup2(2, 1)  # some libraries print when imported
    for name in HEAVY:
        with contextlib.suppress(ImportError):  # a library that is no longer there only costs time
            __import__(name)
    job = _job(replies)
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in ((1, job["out"]), (2, job["err"])):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), number)
    # As `python -m` has it: the working folder first, then PYTHONPATH.
    sys.path[0] = job["cwd"]
    sys.argv[1:] = job["words"]
    runpy.run_module(job["module"], run_name="__main__", alter_sys=True)
