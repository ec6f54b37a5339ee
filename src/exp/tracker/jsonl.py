"""The tracker that is always on: metrics.jsonl in the run folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from exp.run.events import EventLog, read_events

if TYPE_CHECKING:
    from exp.run.folder import Run

log = logging.getLogger(__name__)


class JsonlTracker:
    """Appends to metrics.jsonl; a resumed run appends to the same file, its clock going on."""

    def __init__(self) -> None:
        self.events: EventLog | None = None

    def start(self, run: Run) -> None:
        before = read_events(run.metrics_path)
        self.events = EventLog(run.metrics_path, seconds=before[-1].time if before else 0.0)

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        assert self.events is not None, "start() comes first"
        self.events.append(metrics, step=step, epoch=epoch)

    def alert(self, title: str, text: str) -> None:
        log.warning("%s: %s", title, text)

    def finish(self, status: str) -> None:
        if self.events is not None:
            self.events.close()
