"""One training in several processes: torch's elastic launcher starts them, on this machine, each with a GPU of its own.

The worker stays outside. It holds the trial: parameters were drawn by it, it alone talks to the storage, and the first
process asks it over a pipe. So the trial is told once, whatever becomes of the processes.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any

from exp.errors import ExpError
from exp.loop.trial import NoTrial, Trial
from exp.run.interrupts import pass_on

INTERRUPTED = 75
SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")  # handed on to the processes, which save
SAVE_SECONDS = 15  # that the processes get after such a signal


class RankDied(Exception):
    """A process of a trial was lost: killed, or out of memory."""


class InheritedBytes:
    """Bytes that a new process reads from a file without a name, which it inherits.

    What Python hands over itself goes through a pipe. Where that is full, because the process was killed before it had
    read all, Python before 3.13.8 waits for ever (github.com/python/cpython/issues/118981).
    """

    def __init__(self, data: bytes) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  it goes with this object
        self.file.write(data)
        self.file.flush()

    def __reduce__(self) -> tuple[Any, ...]:
        return _inherited, (DupFd(self.file.fileno()), self.file.tell())


def _inherited(file: Any, size: int) -> bytes:
    descriptor = file.detach()
    try:
        return os.pread(descriptor, size, 0)  # other processes read the same file
    finally:
        os.close(descriptor)


class AskedTrial:
    """The trial as the first process sees it: every question goes to the worker."""

    def __init__(self, study: str | None, worker: Connection) -> None:
        self.study, self.worker = study, worker

    def report(self, value: float, step: int) -> None:
        self._ask("report", value, step)

    def should_prune(self) -> bool:
        return self._ask("should_prune")

    def _ask(self, what: str, *words: Any) -> Any:
        self.worker.send((what, words))
        answer, error = self.worker.recv()
        if error is not None:
            raise RuntimeError(f"the study's storage: {error}")
        return answer


def run_ranks(processes: int, run: Callable[[Trial], Any], trial: Trial) -> Any:
    """What `run` returns in the first of `processes` new processes.

    Args:
        run: Can be pickled by cloudpickle; it is called in every process with that process's trial.

    Raises:
        SystemExit: 75, the run was asked to end and has saved.
        RankDied: a process was lost.
        ExpError: what the run itself said.
    """
    import cloudpickle
    from hydra.core.singleton import Singleton
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    ours, theirs = get_context("spawn").Pipe()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=secrets.token_hex(8),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,  # the queue counts tries
        local_addr="localhost",
        logs_specs=DefaultLogsSpecs(),
        signals_to_handle=",".join(SIGNALS),
        shutdown_timeout=SAVE_SECONDS,
    )
    payload = InheritedBytes(cloudpickle.dumps((Singleton.get_state(), run, trial.study)))
    with _answering(ours, trial) as said:
        try:
            with _own_signals(), _environment_kept(), _known_start_method():
                return elastic_launch(config, rank_main)(payload, theirs)[0]
        except SignalException as error:
            pass_on(signal.Signals(error.sigval).name)
            raise SystemExit(INTERRUPTED) from error
        except ChildFailedError as error:
            raise _cause(error, said) from error


def rank_main(payload: bytes, worker: Connection) -> Any:
    """One of the processes; a function of this module, because the launcher pickles it by name."""
    import cloudpickle
    from hydra.core.singleton import Singleton
    from hydra.core.utils import setup_globals

    from exp.distributed.joined_ranks import joined

    threading.Thread(target=end_with_worker, daemon=True).start()
    state, run, study = cloudpickle.loads(payload)
    Singleton.set_state(state)
    setup_globals()
    with joined() as together:
        trial = AskedTrial(study, worker) if together.place.first else NoTrial(study)
        try:
            value = run(trial)
        except ExpError as error:
            with suppress(OSError):
                worker.send(("failed", (str(error),)))
            raise
    return value if together.place.first else None


def end_with_worker() -> None:
    """Ends this process when the worker is gone: its trial is another's now. Also before all processes have met."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(os.EX_SOFTWARE)


def _text(failure: Any) -> str:
    """Of an exception in a process that is not the first, or that the first did not expect."""
    message = failure.message
    return str(message["message"] if isinstance(message, dict) else message)


def _cause(error: Any, said: list[str]) -> BaseException:
    rank, first = error.get_first_failure()
    if first.exitcode == INTERRUPTED:
        return SystemExit(INTERRUPTED)
    if first.exitcode < 0:
        return RankDied(f"process {rank} of the trial died ({signal.Signals(-first.exitcode).name})")
    if said:
        return ExpError(said[0])
    if first.exitcode > 0 and not os.path.isfile(first.error_file):  # noqa: PTH113  "<N/A>" is no path
        return RuntimeError(f"process {rank} of the trial ended before it began; its worker's log says why")
    return RuntimeError(_text(first))


@contextmanager
def _answering(ranks: Connection, trial: Trial) -> Iterator[list[str]]:
    """A thread that answers the first process; yields what the processes said of their failure."""
    said: list[str] = []
    over = threading.Event()

    def answer() -> None:
        while not over.is_set():
            try:
                if not ranks.poll(0.05):
                    continue
                what, words = ranks.recv()
            except (EOFError, OSError):
                return
            if what == "failed":
                said.extend(words)
                continue
            try:
                told: tuple[Any, str | None] = getattr(trial, what)(*words), None
            except Exception as error:  # the storage was away for too long: the run's failure, not this thread's
                told = None, f"{type(error).__name__}: {error}"
            with suppress(OSError):
                ranks.send(told)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        over.set()
        thread.join()
        ranks.close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """The launcher leaves its handlers behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def _known_start_method() -> Iterator[None]:
    """joblib's workers start processes in a way of their own, which a new process is told of and does not know."""
    before = multiprocessing.get_start_method(allow_none=True)
    if before is None or before in multiprocessing.get_all_start_methods():
        yield
        return
    multiprocessing.set_start_method(None, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


@contextmanager
def _environment_kept() -> Iterator[None]:
    """The launcher writes into the environment of this process, which the next trial would inherit."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
