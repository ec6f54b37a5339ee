"""The contract of a tracker: where a run's numbers go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from exp.run.folder import Run


class Tracker(Protocol):
    """Gets the same keys from both loops: `train/loss`, `train/lr`, `train/grad_norm`, `eval/<metric>`."""

    def start(self, run: Run) -> None: ...

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None: ...

    def alert(self, title: str, text: str) -> None:
        """Something a person should look at now (a curve that went wrong)."""
        ...

    def finish(self, status: str) -> None:
        """`status` as in run.json. result.json, predictions/ and model/ are on disk by then."""
        ...


class NullTracker:
    """Tracks nothing."""

    def start(self, run: Run) -> None:
        pass

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        pass

    def alert(self, title: str, text: str) -> None:
        pass

    def finish(self, status: str) -> None:
        pass


class Fanout:
    """One tracker made of many; each gets every call, in order."""

    def __init__(self, trackers: list[Tracker]) -> None:
        self.trackers = trackers

    def start(self, run: Run) -> None:
        for tracker in self.trackers:
            tracker.start(run)

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        for tracker in self.trackers:
            tracker.log(metrics, step=step, epoch=epoch)

    def alert(self, title: str, text: str) -> None:
        for tracker in self.trackers:
            tracker.alert(title, text)

    def finish(self, status: str) -> None:
        for tracker in self.trackers:
            tracker.finish(status)
