"""Signals that ask a run to end: noticed at once, obeyed after the step.

SIGTERM and SIGUSR1 are what schedulers send before they take the machine; Ctrl-C sends SIGINT. The first one lets
the loop finish its step, save and say so; a second Ctrl-C stops at once.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

EXIT_INTERRUPTED = 75  # sysexits.h EX_TEMPFAIL: saved, start the same command again with resume


class Interrupted(SystemExit):
    """The run was asked to stop and has saved; ends the process with exit code 75, and a sweep with it."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(EXIT_INTERRUPTED)
        self.reason = reason


class Interrupts:
    """Inside the context, signals set `received` instead of ending the process."""

    watched = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)

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
