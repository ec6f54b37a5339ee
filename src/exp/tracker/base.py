"""The contract of a tracker: where a run's numbers go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from exp.tracker.guard import Guard

if TYPE_CHECKING:
    import pyarrow as pa

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


@runtime_checkable
class ShowsPredictions(Protocol):
    """What a tracker may have besides: it is shown the predictions of every evaluation."""

    def predictions(self, split: str, table: pa.Table, *, step: int) -> None:
        """`table` is that of predictions/<split>.parquet, of the weights of `step`; `split` is `eval` or its like."""
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
    """One tracker made of many; each gets every call, in order.

    Args:
        record: metrics.jsonl. A run cannot be read or gone on with without it, so what it raises ends the run.
        others: one that raises is dropped with one line, and the training goes on without it.
    """

    def __init__(self, record: Tracker, others: list[Tracker]) -> None:
        self.record = record
        self.others = list(others)

    def start(self, run: Run) -> None:
        self.record.start(run)
        self._each("starting", lambda tracker: tracker.start(run))

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        self.record.log(metrics, step=step, epoch=epoch)
        self._each("logging", lambda tracker: tracker.log(dict(metrics), step=step, epoch=epoch))

    def alert(self, title: str, text: str) -> None:
        self.record.alert(title, text)
        self._each("alerting", lambda tracker: tracker.alert(title, text))

    def predictions(self, split: str, table: pa.Table, *, step: int) -> None:
        self._each(
            "showing predictions",
            lambda one: one.predictions(split, table, step=step) if isinstance(one, ShowsPredictions) else None,
        )

    def finish(self, status: str) -> None:
        self.record.finish(status)
        self._each("finishing", lambda tracker: tracker.finish(status))

    def _each(self, doing: str, call: Callable[[Tracker], None]) -> None:
        kept = []
        for tracker in self.others:
            guard = Guard(type(tracker).__name__)
            with guard(doing):
                call(tracker)
            if not guard.said:
                kept.append(tracker)
        self.others = kept
