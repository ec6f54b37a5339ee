"""Rows that are read when they are needed: a source with a position, and what a run makes of several of them.

A stream has lanes, which are read independently of each other: row i of the whole is the next row of lane i modulo
their number. Files are shared out over the lanes, so a process that takes every n-th row opens its own files alone.
What comes when depends on the files and the config, never on the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from exp.data.rows import Rows, Source, Unit
from exp.errors import ExpError

if TYPE_CHECKING:
    from exp.data.examples import Examples

MOST_LANES = 8  # files that are open at once


class Record(NamedTuple):
    """One row and where it stands."""

    cells: Mapping[str, Any]
    path: Path
    unit: Unit
    line: int


class RowSource(Protocol):
    """One pass over rows, with a position that JSON has words for."""

    @property
    def ended(self) -> bool:
        """Whether no row of this pass is left."""
        ...

    def next(self) -> Record:
        """The next row of this pass, of which one is left."""
        ...

    def restart(self) -> None:
        """Back to the first row."""
        ...

    def state(self) -> Any:
        """Where the next row is."""
        ...

    def restore(self, state: Any) -> None: ...


@dataclass(frozen=True)
class Stream:
    """Args:
    shards: files, or what else can be read side by side.
    opened: called with a lane's number and how many lanes there are, gives its rows from the beginning.
    buffer: rows of all lanes together that are read, encoded and shuffled at a time.
    facts: what the rows and their order depend on, for fingerprints and run.json.
    """

    shards: int
    opened: Callable[[int, int], RowSource]
    buffer: int
    facts: Mapping[str, Any]

    @property
    def lanes(self) -> int:
        """As many, up to MOST_LANES, as get equally many shards."""
        return next(size for size in range(MOST_LANES, 0, -1) if self.shards % size == 0)

    def open(self, lane: int) -> RowSource:
        return self.opened(lane, self.lanes)

    @property
    def portion(self) -> int:
        """Rows that a lane reads at a time."""
        return max(1, self.buffer // self.lanes)


@dataclass(frozen=True)
class ExampleStream:
    """The train rows of a run beyond the first ones.

    `whole`: the first rows are all that there is, so that a pass is known to its end.
    """

    stream: Stream
    examples: Callable[[Rows], Examples]  # as the task reads them
    whole: bool


def portion_of(source: RowSource, size: int) -> list[Record]:
    """The next `size` rows, fewer where the pass ends; a source that is at its end begins anew."""
    if source.ended:
        source.restart()
    found: list[Record] = []
    while len(found) < size and not source.ended:
        found.append(source.next())
    return found


def as_rows(records: list[Record]) -> Rows:
    names = {name: None for record in records for name in record.cells}
    return Rows(
        records[0].path,
        {name: [record.cells.get(name) for record in records] for name in names},
        [record.line for record in records],
        sources=[Source(record.path, record.unit) for record in records],
    )


def beginning(stream: Stream) -> tuple[Rows, bool]:
    """The first rows of every lane, and whether they are all there is. Raises ExpError for a lane without a row."""
    found: list[Record] = []
    whole = True
    for lane in range(stream.lanes):
        source = stream.open(lane)
        if source.ended:
            where = f" in file {lane + 1}, or those that are read together with it" if stream.lanes > 1 else ""
            raise ExpError(f"data.streaming=true: {stream.facts['name']} has no rows{where}")
        found += portion_of(source, stream.portion)
        whole &= source.ended
    return as_rows(found), whole
