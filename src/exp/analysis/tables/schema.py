"""What a table file says, as plain values. The file's own words are explained in docs/tables.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt

SPLITS = ("dev", "test", "test_server")
UNITS = {"percent": 100.0, "fraction": 1.0}
AGGREGATES = ("mean", "median", "max")
USES = ("last", "best")
OVERS = ("seeds", "examples", "both")
SOURCE = ("paper", "version", "table", "url", "split")
SEEDS = ("seed", "init_seed", "data_seed", "dropout_seed")


@dataclass(frozen=True)
class Published:
    """A number of the paper, in the table's unit. `n` runs stand behind it (None: not said).

    `exact`: a constant such as a known ceiling, not a measurement. `unverified`: nobody has read it in the source.
    """

    value: float
    std: Annotated[float, Ge(0)] | None = None
    n: Annotated[int, Ge(1)] | None = None
    median: float | None = None
    max: float | None = None
    exact: bool = False
    unverified: bool = False


@dataclass(frozen=True)
class PaperRow:
    name: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class PaperColumn:
    """`metric` is a full key (eval/accuracy). `epoch` reads the evaluation after that epoch instead of `use`.

    `start_from` names a column whose run with the same seed gives the weights to start from.
    """

    name: str
    overrides: tuple[str, ...]
    metric: str
    epoch: Annotated[float, Gt(0)] | None
    start_from: str | None


@dataclass(frozen=True)
class Cell:
    """What holds for one cell alone."""

    overrides: tuple[str, ...] = ()
    published: Published | None = None
    tolerance: Annotated[float, Ge(0)] | None = None
    skip: bool = False


@dataclass(frozen=True)
class Search:
    """Points that every cell is run at; the best on `select` (a metric key, None: the cell's own) is reported.

    `bounds` says what was searched, in words. `kind` is grid or random: only for random draws does an expected best
    mean anything.
    """

    kind: str
    points: tuple[tuple[str, ...], ...]
    bounds: tuple[str, ...]
    select: str | None


@dataclass(frozen=True)
class VerdictRules:
    """See exp.analysis.tables.verdict. `tolerance` and `widest` are in the table's unit, `over` is one of OVERS."""

    tolerance: float | None
    min_seeds: int
    widest: float
    over: str = "seeds"


@dataclass(frozen=True)
class PaperTable:
    name: str
    title: str
    source: Mapping[str, Any]
    split: str
    unit: str
    aggregate: str
    use: str
    seeds: tuple[Mapping[str, int], ...]
    overrides: tuple[str, ...]
    search: Search | None
    rows: tuple[PaperRow, ...]
    columns: tuple[PaperColumn, ...]
    cells: Mapping[tuple[str, str], Cell]
    judging: VerdictRules
    notes: tuple[str, ...]
    added: Mapping[str, tuple[str, ...]]  # overrides from the command line: "" for all, else a row's or column's name
    config_dir: Path | None = None  # more options, as --config-dir of exp.train

    @property
    def scale(self) -> float:
        return UNITS[self.unit]

    def cell(self, row: str, column: str) -> Cell:
        return self.cells.get((row, column), Cell())

    def wanted(self) -> list[tuple[PaperRow, PaperColumn]]:
        """All cells but the skipped, row by row."""
        return [(r, c) for r in self.rows for c in self.columns if not self.cell(r.name, c.name).skip]

    def column(self, name: str) -> PaperColumn:
        return next(column for column in self.columns if column.name == name)


def label(row: str, column: str) -> str:
    """How a cell is named to the user, and matched by cells=..."""
    return f"{row}/{column}"
