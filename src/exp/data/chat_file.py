"""A file of chats that has no splits of its own: its last rows to test on, a share of the others to evaluate on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from exp.data import readers
from exp.data.base import HoldOut, RawData, Sampled
from exp.data.read_options import ReadOptions
from exp.errors import ExpError


@dataclass(frozen=True)
class ChatFile(Sampled):
    """`only` keeps the rows whose cells have these values."""

    name: str
    path: str
    file: str
    messages_column: str
    only: dict[str, Any] | None
    test_rows: Annotated[int, Ge(0)]
    validation_share: Annotated[float, Gt(0), Lt(1)]
    split_seed: Annotated[int, Ge(0)]

    def __post_init__(self) -> None:
        readers.require_file(self._file, "data.path")

    def columns(self) -> list[str] | None:
        return readers.header_of(self._file, ReadOptions())

    def read(self) -> RawData:
        """Raises ExpError, with file and line, for a row that cannot be read, and where none is left to train on."""
        rows = readers.read(self._file)
        for column, value in (self.only or {}).items():
            rows = rows.take([row for row, cell in enumerate(rows.column(column)) if cell == value])
        edge = len(rows) - self.test_rows
        if edge < 2:
            kept = f" with {self.only}" if self.only else ""
            raise ExpError(f"{self._file}: data.test_rows={self.test_rows} of {len(rows)} rows{kept} leaves too few")
        return RawData(
            name=self.name,
            train=rows.take(range(edge)),
            evals={},
            tests={"": rows.take(range(edge, len(rows)))} if self.test_rows else {},
            roles={"messages_column": self.messages_column},
            hold_out=HoldOut(self.validation_share, self.split_seed),
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    @property
    def _file(self) -> Path:
        """`path` is the folder of `file`, or the file itself."""
        path = Path(self.path).expanduser()
        return path / self.file if path.is_dir() else path
