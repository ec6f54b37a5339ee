"""Rows of a data set of the Hub, or of a local folder in its format, as `datasets` streams them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exp.data.stream import Record

EVERY = 1000  # rows after which the position is asked for anew: datasets needs some 20 us to tell it


class HubRows:
    """One shard of a `datasets.IterableDataset`. Its position is that of `datasets`, and how many rows came since."""

    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset, self.path = dataset, Path(name)
        self.start = self.base = dataset.state_dict()
        self.since, self.number = 0, 0  # rows after `base`, and in all
        self.rows: Iterator[dict[str, Any]] = iter(())
        self.row: dict[str, Any] | None = None
        self.restart()

    def restart(self) -> None:
        self.restore([self.start, 0, 0])

    @property
    def ended(self) -> bool:
        return self.row is None

    def next(self) -> Record:
        cells = self.row
        assert cells is not None, "the pass has ended"
        self.since, self.number = self.since + 1, self.number + 1
        if self.since == EVERY:  # before the next row is read in advance
            self.base, self.since = self.dataset.state_dict(), 0
        self.row = next(self.rows, None)
        return Record(cells, self.path, "row", self.number)

    def state(self) -> Any:
        return [self.base, self.since, self.number]

    def restore(self, state: Any) -> None:
        self.base, self.since, self.number = state
        self.dataset.load_state_dict(self.base)
        self.rows = iter(self.dataset)
        for _ in range(self.since):
            next(self.rows)
        self.row = next(self.rows, None)
