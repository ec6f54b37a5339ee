"""The process that tests.forked forks: LISTENER PROGRAM. Ends when its standard input is closed."""

from __future__ import annotations

import ast
import atexit
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
import weakref
from collections.abc import Iterator
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
    *("exp.loop.batching", "exp.loop.clipping", "exp.loop.hf_trainer", "exp.speed.embedding", "exp.speed.linear"),
    *("exp.metrics.calibration", "exp.metrics.scores", "exp.metrics.text", "exp.optim.decay_to_start"),
    *("exp.compat.accelerate", "exp.task.rust_tokens", "encodings.cp437"),
    "tabulate",  # which torch imports at the end of each process
)
# All of the grammar of Hydra's command line: its parser is slow at what it has not met.
SPELT = [
    *(
        "tracker=none",
        "data=mrpc",
        "data.train_size=64",
        "optimizer.lr=1e-3",
        "model.dropout=0.1",
        "eval_strategy=steps",
    ),
    *("load_best_model_at_end=true", "group@package=option", "loop=trainer,accelerate", "seed=range(1,4)", "~report"),
    *("hydra.run.dir=/tmp/a-b_c/1.d", "data.path='a b/c.json'", "+names=[a,b_c,'d e',1,null,-2]", "~a=b", "a="),
    *("++table={a:1,b_c:[x,1.5]}", r"+said=a\,b c", "+sum=${seed}_${oc.env:HOME}", "hydra/launcher=joblib", "a=nan"),
    *('+a="b"', "optimizer.lr=interval(1e-5,1e-3)", "optimizer.lr=choice(1,2)", "optimizer.lr=tag(log,interval(1,2))"),
]
FREE = 300  # above any number that a program's files have


class Job(NamedTuple):
    files: dict[int, int]  # the number it has in the program -> its number here
    words: list[str]
    env: dict[bytes, bytes]
    cwd: bytes


class Running(NamedTuple):
    child: int
    client: socket.socket
    ended: int  # readable when the child has ended


def received(client: socket.socket) -> Job | None:
    """None where the program was killed before it had said all."""
    size, files, _, _ = socket.recv_fds(client, 8, 250)
    missing, body = int.from_bytes(size, "big"), b""
    while missing and (part := client.recv(missing)):
        body += part
        missing -= len(part)
    if missing or not body:
        for file in files:
            os.close(file)
        return None
    numbers, words, env, cwd = ast.literal_eval(body.decode())
    return Job(dict(zip(numbers, files, strict=True)), words, env, cwd)


def serve(listener: socket.socket) -> Job:
    """Returns in a process that has a job to do.

    Here signals go in and exit codes go out; a program and its fork die together.
    """
    running: dict[int, Running] = {}  # by each of its two files
    while True:
        ready, _, _ = select.select([0, listener, *running], [], [])
        if 0 in ready:
            os._exit(0)
        for file in ready:
            if file in running:  # not if its other file came first
                advance(running[file], file, running)
        if listener not in ready:
            continue
        client, _ = listener.accept()
        job = received(client)
        if job is None:
            client.close()
            continue
        child = os.fork()
        if not child:
            listener.close()
            client.close()
            os.setsid()
            return job
        for number in job.files.values():
            os.close(number)
        one = Running(child, client, os.pidfd_open(child))
        running[client.fileno()] = running[one.ended] = one


def advance(one: Running, file: int, running: dict[int, Running]) -> None:
    """Passes on what was said in `file`: the end of the fork, a signal for it, or the end of the program."""
    if file != one.ended:
        numbers = one.client.recv(16)
        for number in numbers or [signal.SIGKILL]:
            os.kill(one.child, number)
        if numbers:
            return
    # Waited for, so that its time counts as that of the server's children.
    code = os.waitstatus_to_exitcode(os.waitpid(one.child, 0)[1])
    del running[one.client.fileno()], running[one.ended]
    with contextlib.suppress(OSError):
        one.client.send(b"%d" % code)
    one.client.close()
    os.close(one.ended)


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
        sys.modules["exp.work.forks"].PROGRAM[0] = program
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


class Exit:
    """Leaves where Python would take itself apart, object by object: 0.4 s of a fork of so many.

    Made before anything is imported, so that it comes after all else that asked to be called at the end.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self.leave)

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        try:
            yield
        except SystemExit as error:
            self.code = 0 if error.code is None else error.code & 0xFF if isinstance(error.code, int) else 1
            raise
        except BaseException as error:
            self.code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
            raise
        self.code = 0

    def leave(self) -> None:
        if self.code is None:
            return
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream is not None and not stream.closed:
                    stream.flush()
            except OSError:
                self.code = 120  # as Python
        if self.code == -signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(self.code)


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
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from transformers import conversion_mapping

    from exp.config.compose import compose, plain
    from exp.curves import curve, picture
    from exp.curves.verdict import Verdict
    from exp.options import trust
    from exp.training.build import build_raw
    from exp.training.launch import check_config

    OverridesParser.create().parse_overrides(SPELT)
    check_config(compose([]))
    build_raw(plain(compose(["tracker=none"])))  # merged and drawn: the words of most runs here
    trust.whitelist()
    conversion_mapping.get_checkpoint_conversion_mapping("bert")
    HydraConfig.instance().cfg = None
    with tempfile.TemporaryDirectory() as folder:
        of = curve.build([])
        picture.draw(of, Verdict("insufficient data", None, ()), Path(folder) / "curves.png", "", curve.Facts())


def leave_out() -> None:
    """What costs every fork and no test asks for."""
    from matplotlib.figure import Figure

    os.fsync = lambda file: None  # as in conftest.py
    Figure.draw = lambda figure, renderer: None  # 0.2 s of a tiny run's picture; tests/curves and tests/api draw theirs
    for one in weakref.finalize._registry:  # torch takes back the names of its functions, one by one
        one.atexit = False


if __name__ == "__main__":
    leaving = Exit()
    listening = socket.socket(fileno=int(sys.argv[1]))
    if 0 in select.select([0, listening], [], [])[0]:  # no test has asked for a process
        os._exit(0)
    gc.disable()  # nothing of it is to be collected
    for name in HEAVY:
        with contextlib.suppress(ImportError):  # a library that is no longer there only costs time
            importlib.import_module(name)
    begin()
    leave_out()
    gc.collect()
    gc.freeze()
    gc.enable()
    job = serve(listening)
    become(job, sys.argv[2])
    with leaving.noted():
        execute(job.words)
