"""The rules of learning curves, asked while the run trains: each warning once, to every tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from exp.curves.curve import facts_of
from exp.curves.live import LiveRules
from exp.curves.verdict import Thresholds
from exp.run.events import Event, read_events
from exp.run.folder import read_record
from exp.tracker.base import ShowsPredictions

if TYPE_CHECKING:
    import pyarrow as pa

    from exp.run.folder import Run
    from exp.tracker.base import Tracker


class CurveAlerts:
    """Passes everything on to `tracker` and applies the rules to it."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.rules: LiveRules | None = None

    def start(self, run: Run) -> None:
        self.run = run
        self.tracker.start(run)

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        self.tracker.log(metrics, step=step, epoch=epoch)
        if self.rules is None:  # the facts about the data stand in run.json by now
            self.rules = LiveRules(facts_of(read_record(self.run.folder), self.run.folder), Thresholds())
            for event in read_events(self.run.metrics_path)[:-1]:
                self.rules.update(event)  # its warnings were given before the resume
        for warning in self.rules.update(Event(step, epoch, 0.0, dict(metrics))):
            self.tracker.alert(warning.title, warning.text)

    def alert(self, title: str, text: str) -> None:
        self.tracker.alert(title, text)

    def predictions(self, split: str, table: pa.Table, *, step: int) -> None:
        if isinstance(self.tracker, ShowsPredictions):
            self.tracker.predictions(split, table, step=step)

    def finish(self, status: str) -> None:
        self.tracker.finish(status)
