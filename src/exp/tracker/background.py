"""A tracker in a thread of its own: a service that is slow or away costs a training nothing."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from exp.tracker.base import NullTracker, Tracker
from exp.tracker.guard import Guard

if TYPE_CHECKING:
    from exp.run.folder import Run

log = logging.getLogger(__name__)
MOST_WAITING = 10_000  # calls; some 10 MB


class Queued:
    """The calls of a tracker that sends everything by a thread of its own, from `_serve` on."""

    background: Tracker = NullTracker()

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        self.background.log(metrics, step=step, epoch=epoch)

    def alert(self, title: str, text: str) -> None:
        self.background.alert(title, text)

    def finish(self, status: str) -> None:
        self.background.finish(status)

    def _serve(self, background: Background, run: Run) -> None:
        self.background = background
        background.start(run)


class Background:
    """Every call waits in a bounded queue; what finds no room, or no time at the end, is dropped, and that is said.

    Args:
        tracker: gets the calls, in order. One that raises gets no more of them.
        service: its name in messages.
        finish_timeout: seconds that `finish` waits for the calls before it.
        most_waiting: calls that may wait.
    """

    def __init__(self, tracker: Tracker, service: str, finish_timeout: float, most_waiting: int = MOST_WAITING) -> None:
        self.tracker = tracker
        self.service = service
        self.finish_timeout = finish_timeout
        self.guard = Guard(service)
        self.waiting: queue.Queue[tuple[str, Callable[[], None]]] = queue.Queue(most_waiting)
        self.dropped = 0
        self.thread = threading.Thread(target=self._serve, name=f"exp {service}", daemon=True)

    def start(self, run: Run) -> None:
        self.thread.start()
        self._put("starting", lambda: self.tracker.start(run))

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        kept = dict(metrics)
        self._put("logging", lambda: self.tracker.log(kept, step=step, epoch=epoch))

    def alert(self, title: str, text: str) -> None:
        self._put("alerting", lambda: self.tracker.alert(title, text))

    def finish(self, status: str) -> None:
        until = time.monotonic() + self.finish_timeout
        try:
            self.waiting.put(("finishing", lambda: self.tracker.finish(status)), timeout=self.finish_timeout)
        except queue.Full:
            self.dropped += 1
        self.thread.join(max(0.0, until - time.monotonic()))
        late = self.waiting.qsize() + 1 if self.thread.is_alive() else 0
        if self.dropped or late:
            log.warning(
                "%s did not take %d of the calls of this run (%d found no room, %d were not done within %g s); "
                "metrics.jsonl has every number",
                self.service,
                self.dropped + late,
                self.dropped,
                late,
                self.finish_timeout,
            )

    def _put(self, doing: str, call: Callable[[], None]) -> None:
        try:
            self.waiting.put_nowait((doing, call))
        except queue.Full:
            self.dropped += 1

    def _serve(self) -> None:
        doing = ""
        while doing != "finishing":
            doing, call = self.waiting.get()
            if not self.guard.said:
                with self.guard(doing):
                    call()
