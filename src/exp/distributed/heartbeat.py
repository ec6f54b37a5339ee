"""Whether the other processes of a run live: each writes a heartbeat a second into the store and reads the others'.

A collective operation may wait in C++ for a lost process, and no Python signal handler runs there. So two threads
watch: one talks to the store, the other looks at the clock and ends this process if it must.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from exp.run.place import Place

if TYPE_CHECKING:
    from torch.distributed import Store

BEAT = 1.0  # seconds
GRACE = 3.0  # seconds for the main thread to notice by itself that another process ended
FAILED, INTERRUPTED = 2, 75  # exit codes: of bad input, and of an interrupted run (sysexits.h EX_TEMPFAIL)

EndRun = Callable[[str, str], None]  # status and reason, as in run.json


class HeartbeatMonitor:
    """Tells which processes live. After `watch_others` it ends this process when another one failed or was lost."""

    def __init__(self, store: Store, place: Place) -> None:
        self.store, self.place = store, place
        self.over = threading.Event()
        # The first process watches all others, and they watch the first.
        self.others = list(range(1, place.size)) if place.first else [0]
        self.beats = dict.fromkeys(self.others, 0)
        self.heard = dict.fromkeys(self.others, time.monotonic())
        self.answered = time.monotonic()  # the store's last answer
        self.broken = False  # the store refuses
        self.failed: str | None = None  # what another process said of its end
        self.lost_after = 0.0  # seconds; 0: nobody guards
        self.end: EndRun | None = None
        for target in (self._exchange_beats, self._end_if_lost):
            threading.Thread(target=target, daemon=True, name=f"exp{target.__name__}").start()

    def watch_others(self, lost_after: float, end: EndRun) -> None:
        """From now on `lost_after` seconds without a heartbeat end this process; `end` writes its record first."""
        self._reset_timers()
        self.end, self.lost_after = end, lost_after

    def _reset_timers(self) -> None:
        self.answered = time.monotonic()
        self.heard = dict.fromkeys(self.others, self.answered)

    def stop_watching(self) -> None:
        """The main thread has noticed a failure by itself, or needs the other processes no more."""
        self.lost_after = 0.0

    def stop(self) -> None:
        self.stop_watching()
        self.over.set()

    def publish(self, reason: str) -> None:
        """Tells the other processes why this one failed."""
        try:
            slot = self.store.add("slots", 1)
            self.store.set(f"ending/{slot}", json.dumps([self.place.rank, reason]))
        except RuntimeError:  # the store is gone, and so are they
            return

    def failure(self, store: Store | None = None) -> str | None:
        """Why another process failed, if one has told; does not wait."""
        store = store or self.store
        try:
            for slot in range(1, store.add("slots", 0) + 1):
                if store.check([f"ending/{slot}"]):
                    rank, reason = json.loads(store.get(f"ending/{slot}"))
                    if rank != self.place.rank:
                        return reason
        except RuntimeError:
            pass
        return None

    def in_touch(self) -> bool:
        """Whether the store has answered within the last seconds. Else a request could wait for a lost network."""
        return not self.broken and time.monotonic() - self.answered < 3 * BEAT

    def silent(self) -> list[int]:
        """Processes without a beat for the last seconds."""
        now = time.monotonic()
        return [rank for rank, heard in self.heard.items() if now - heard > 2.5 * BEAT]

    def _exchange_beats(self) -> None:
        store = self.store.clone()  # a client waits for its answer; the main thread has its own
        while not self.over.wait(BEAT):
            try:
                store.add(f"beat/{self.place.rank}", 1)
                for rank in self.others:
                    count = store.add(f"beat/{rank}", 0)
                    if count != self.beats[rank]:
                        self.beats[rank], self.heard[rank] = count, time.monotonic()
                self.failed = self.failure(store)
                self.answered, self.broken = time.monotonic(), False
            except RuntimeError:
                self.broken = True

    def _end_if_lost(self) -> None:
        failed_since = broken_since = None
        before = time.monotonic()
        while not self.over.wait(BEAT / 2):
            now = time.monotonic()
            if now - before > 5 * BEAT:  # this process itself was suspended and saw no heartbeat meanwhile
                self._reset_timers()
            before = now
            failed_since = (failed_since or now) if self.failed else None
            if not self.lost_after:
                continue
            if self.broken and broken_since is None:
                broken_since = now  # perhaps only the launcher has ended; then all can finish the step and save
                os.kill(os.getpid(), signal.SIGTERM)
            silent = [rank for rank, heard in self.heard.items() if now - heard > self.lost_after]
            if failed_since and now - failed_since > GRACE:
                self._exit("failed", f"{self.failed}", FAILED)
            elif now - self.answered > self.lost_after:
                self._exit("interrupted", f"no answer from the launcher for {self.lost_after:g} s", INTERRUPTED)
            elif silent and not self.broken:
                which = ", ".join(map(str, silent))
                self._exit("interrupted", f"nothing heard from process {which} for {self.lost_after:g} s", INTERRUPTED)

    def _exit(self, status: str, reason: str, code: int) -> None:
        """Writes the record, then ends the process, because the main thread may wait for ever."""
        end = self.end
        assert end is not None
        self.lost_after = 0.0
        last = threading.Thread(target=end, args=(status, reason), daemon=True)
        last.start()
        last.join(10.0)
        os._exit(code)
