"""Signals that ask a run to end: noticed at once, obeyed after the step.

SIGTERM, SIGUSR1 and SIGUSR2 are what schedulers send before they take the machine (SIGUSR2 through submitit); Ctrl-C
sends SIGINT. The first one lets the loop finish its step, save and say so; a second Ctrl-C stops at once.
"""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType

log = logging.getLogger(__name__)

EXIT_INTERRUPTED = 75  # sysexits.h EX_TEMPFAIL: saved, start the same command again with resume


class Interrupted(SystemExit):
    """The run was asked to stop and has saved; ends the process with exit code 75, and a sweep with it."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(EXIT_INTERRUPTED)
        self.reason = reason


class Interrupts:
    """Inside the context, signals set `received` instead of ending the process."""

    watched = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)

    def __init__(self) -> None:
        self.received: str | None = None
        self.before: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            self.before = {number: signal.signal(number, self._notice) for number in self.watched}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received is not None:
            raise KeyboardInterrupt
        self.received = signal.Signals(number).name


def pass_on(reason: str | None) -> None:
    """Calls who listened to the signal before the run did, now that the run has saved.

    Under submitit that is a handler which puts the job back into SLURM's queue; it listens to SIGUSR2 alone, or to the
    one that SUBMITIT_PREEMPT_SIGNAL names. SIGTERM is not passed on: it is scancel, or SLURM requeues by itself.
    """
    warnings = (signal.SIGUSR1, signal.SIGUSR2)
    if reason not in [number.name for number in warnings]:
        return
    for number in sorted(warnings, key=lambda number: number.name != reason):
        handler = signal.getsignal(number)
        if callable(handler):
            try:
                handler(number, None)
            except SystemExit:  # its way to end the process, which the caller does
                pass
            except Exception as error:
                log.warning("the job was not put back into the queue: %s", error)
            return
