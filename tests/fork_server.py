"""The process that tests.forked forks: LISTENER PROGRAM. Ends when its standard input is closed."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import gc
import importlib
import multiprocessing
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import NamedTuple

# W&B is not here: it keeps a temporary folder, which the first child would remove. Nor are exp's commands: they are
# what Python runs as a program.
HEAVY = (
    *(
        "torch",
        "transformers.trainer",
        "transformers.models.bert.modeling_bert",
        "transformers.models.auto.modeling_auto",
    ),
    *("transformers.tokenization_utils_tokenizers", "datasets", "accelerate", "peft", "optuna", "pandas"),
    *("pyarrow.parquet", "sklearn.metrics", "scipy.stats", "matplotlib.pyplot", "hydra", "rich.table"),
    *("torch.distributed.run", "torch.distributed.fsdp", "cloudpickle"),
    *("exp.training.launch", "exp.training.build", "exp.training.fit", "exp.loop.accelerate", "exp.loop.trainer"),
    *(
        "exp.task.text_classification",
        "exp.data.reviews",
        "exp.model.tiny",
        "exp.study.sweep",
        "exp.work.local_workers",
    ),
    *("exp.saved.finished", "exp.curves.picture", "exp.analysis.collect"),
    *("exp.data.features", "exp.distributed.shards", "exp.distributed.shared_failure", "exp.loop.session"),
    *("exp.metrics.functions", "exp.model.peft_wrapping", "exp.saved.card", "exp.saved.next_steps"),
    *("exp.speed.precision", "exp.training.lifecycle", "exp.curves.summary", "matplotlib.backends.backend_agg"),
)
FREE = 300  # above any number that a program's files have


class Job(NamedTuple):
    files: dict[int, int]  # the number it has in the program -> its number here
    words: list[str]
    env: dict[bytes, bytes]
    cwd: bytes


def received(client: socket.socket) -> Job:
    size, files, _, _ = socket.recv_fds(client, 8, 250)
    body = b""
    while len(body) < int.from_bytes(size, "big"):
        body += client.recv(int.from_bytes(size, "big") - len(body))
    numbers, words, env, cwd = ast.literal_eval(body.decode())
    return Job(dict(zip(numbers, files, strict=True)), words, env, cwd)


def serve(listener: socket.socket) -> Job:
    """Returns in a process that has a job to do."""
    while True:
        ready, _, _ = select.select([0, listener], [], [])
        with contextlib.suppress(ChildProcessError):  # waited for, so that their time counts as the server's children's
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if 0 in ready:
            os._exit(0)
        client, _ = listener.accept()
        if not os.fork():
            listener.close()
            return wait_for(client)
        client.close()


def wait_for(client: socket.socket) -> Job:
    """Forks once more and returns there; here signals go in and the exit code goes out, and both ends die together."""
    job = received(client)
    child = os.fork()
    if not child:
        client.close()
        os.setsid()
        return job
    for file in job.files.values():
        os.close(file)
    ended = os.pidfd_open(child)
    while True:
        ready, _, _ = select.select([client, ended], [], [])
        if ended in ready:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            with contextlib.suppress(OSError):
                client.send(b"%d" % code)
            os._exit(0)
        numbers = client.recv(16)
        for number in numbers or [signal.SIGKILL]:
            os.kill(child, number)
        if not numbers:
            os.waitpid(child, 0)
            os._exit(0)


def become(job: Job, program: str) -> None:
    """Takes the files, environment, folder and path that Python would have begun with."""
    was = dict(os.environb)
    os.environb.clear()
    os.environb.update(job.env)
    os.chdir(job.cwd)
    high = {number: fcntl.fcntl(file, fcntl.F_DUPFD, FREE) for number, file in job.files.items()}
    os.closerange(3, FREE)
    for number, file in high.items():
        os.dup2(file, number)
        os.close(file)
    reopen_streams()
    if b"EXP_FORKS" in job.env:
        sys.executable = program
        multiprocessing.set_executable(program)
        sys.modules["exp.work.local_workers"].COMMAND[0] = program
    if any(was.get(name) != job.env.get(name) for name in {*was, *job.env} if name.startswith(b"HF_")):
        importlib.reload(sys.modules["huggingface_hub.constants"])
    sys.path[:] = [*paths(job.env), *(path for path in sys.path if path not in paths(was))]


def reopen_streams() -> None:
    """Python's streams: those of the server were made for its own files."""
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
    for name, number, mode, lenient in (
        ("stdin", 0, "r", errors or "strict"),
        ("stdout", 1, "w", errors or "strict"),
        ("stderr", 2, "w", "backslashreplace"),
    ):
        stream = open(number, mode, encoding=encoding, errors=lenient, closefd=False, buffering=1)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def paths(env: dict[bytes, bytes]) -> list[str]:
    return [path for path in os.fsdecode(env.get(b"PYTHONPATH", b"")).split(os.pathsep) if path]


def execute(words: list[str]) -> None:
    """A command line of Python."""
    first = [] if os.environ.get("PYTHONSAFEPATH") else [str(Path.cwd())]
    while words[0].startswith("-") and words[0] not in ("-m", "-c"):
        words = words[1:]
    how, *rest = words
    if how == "-m":
        sys.argv = rest
        sys.path[:0] = first
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path[:0] = first and [""]
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv = words
        sys.path[:0] = first and [str(Path(how).resolve().parent)]
        runpy.run_path(how, run_name="__main__")


def begin() -> None:
    """What the first run of a process alone takes, a second of it: Hydra's plugins, parsed files, checks, fonts."""
    import tempfile

    from hydra.core.hydra_config import HydraConfig
    from transformers import conversion_mapping

    from exp.config.compose import compose
    from exp.curves import curve, picture
    from exp.curves.verdict import Verdict
    from exp.options import trust
    from exp.training.launch import check_config

    check_config(compose([]))
    trust.whitelist()
    conversion_mapping.get_checkpoint_conversion_mapping("bert")
    HydraConfig.instance().cfg = None
    with tempfile.TemporaryDirectory() as folder:
        of = curve.build([])
        picture.draw(of, Verdict("insufficient data", None, ()), Path(folder) / "curves.png", "", curve.Facts())


if __name__ == "__main__":
    listening = socket.socket(fileno=int(sys.argv[1]))
    for name in HEAVY:
        with contextlib.suppress(ImportError):  # a library that is no longer there only costs time
            importlib.import_module(name)
    begin()
    gc.freeze()
    os.fsync = lambda file: None  # as in conftest.py
    job = serve(listening)
    become(job, sys.argv[2])
    execute(job.words)
