"""If one process of a run fails, the others learn why, and the run's record says so."""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exp.distributed.joined_ranks import JoinedRanks
from exp.errors import ExpError
from exp.run import ranks
from exp.run.interrupts import Interrupted
from exp.run.logs import TO_FILE_ONLY

if TYPE_CHECKING:
    from exp.run.folder import Run
    from exp.tracker.base import Tracker

log = logging.getLogger("exp")
# How torch says that another process is gone: gloo in plain RuntimeErrors, NCCL and the store in classes of their own.
LOST = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "Socket closed")
LOST_KINDS = ("DistBackendError", "DistNetworkError", "DistStoreError")
SILENCE_SECONDS = 5.0  # until a dead process has missed its heartbeats
CAUSE_SECONDS = 3.0  # a process that failed has told why by then


@contextmanager
def failures_shared(run: Run, tracker: Tracker) -> Iterator[None]:
    """Around the body of a run; does nothing for one process.

    Tells the other processes of an error of this one.

    Raises:
        ExpError: a connection broke, because another process failed.
        Interrupted: a connection broke, because another process vanished.
    """
    together = ranks.current.get()
    if not isinstance(together, JoinedRanks):
        yield
        return

    def end(status: str, reason: str) -> None:
        _write(together, run, status, reason)
        tracker.finish(status)

    together.heartbeat.watch_others(run.config["distributed"]["lost_after"], end)
    try:
        yield
    except BaseException as error:
        together.heartbeat.stop_watching()
        _ignore_signals()
        raise _cause_of(error, together, run) from error
    finally:
        together.heartbeat.stop_watching()


def _ignore_signals() -> None:
    """The launcher sends SIGTERM as soon as one process has ended. It must not stop us from writing the reason."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)


def _cause_of(error: BaseException, together: JoinedRanks, run: Run) -> BaseException:
    lost = _is_lost_connection(error)
    if lost or isinstance(error, Interrupted | KeyboardInterrupt):
        failure = _failure(together, CAUSE_SECONDS if lost else 0.5)
        if failure is not None:
            return ExpError(failure)
        if not lost:
            return error
        which = ", ".join(map(str, _silent_ranks(together))) or "unknown"
        reason = f"process {which} of {together.place.size} is gone"
        log.error("%s", error, extra=TO_FILE_ONLY)
        _write(together, run, "interrupted", reason)
        return Interrupted(reason)
    log.error("the run failed", exc_info=error, extra=TO_FILE_ONLY)
    if isinstance(error, ExpError):
        together.heartbeat.publish(str(error))
        return error
    named = f"process {together.place.rank} failed with {type(error).__name__}: {error} ({_log_of(together, run)})"
    if together.tells_user(named):
        return error
    return SystemExit(1)  # the first process has told the user


def _failure(together: JoinedRanks, seconds: float) -> str | None:
    end = time.monotonic() + seconds
    while (failure := together.heartbeat.failure()) is None and time.monotonic() < end:
        time.sleep(0.05)
    return failure


def _silent_ranks(together: JoinedRanks) -> list[int]:
    """A broken connection is noticed at once, a missing heartbeat some seconds later."""
    end = time.monotonic() + SILENCE_SECONDS
    while not (silent := together.heartbeat.silent()) and time.monotonic() < end:
        time.sleep(0.05)
    return silent


def _write(together: JoinedRanks, run: Run, status: str, reason: str) -> None:
    """Writes the record and one line on the screen: the first process does, or another one if the first has ended.

    A host without a connection to the others prints its own line and leaves the record to them.
    """
    if together.place.first:
        run.finish(status, reason)
    elif together.heartbeat.in_touch():
        if not together.is_first_to("record"):
            return
        dataclasses.replace(run, kept=True).finish(status, reason)
    elif together.place.local_rank:
        return
    print(f"exp: {reason}; the run stops. Go on with resume={run.folder}", file=sys.stderr, flush=True)


def _is_lost_connection(error: BaseException) -> bool:
    if type(error).__name__ in LOST_KINDS:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in LOST)


def _log_of(together: JoinedRanks, run: Run) -> str:
    return f"{run.folder / log_name(together.place.rank)}"


def log_name(rank: int) -> str:
    return f"train.rank{rank}.log" if rank else "train.log"
