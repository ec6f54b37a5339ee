"""One text, split by its characters: the first part to train on, the rest to evaluate and test on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from exp.data import readers
from exp.data.base import RawData, Sampled
from exp.data.encoding import read_text
from exp.data.rows import Rows
from exp.errors import ExpError


@dataclass(frozen=True)
class TextFile(Sampled):
    """Rows are lines with their line breaks; a line that a border cuts gives a row to both sides."""

    name: str
    path: str
    file: str
    encoding: str | None
    validation_share: Annotated[float, Gt(0), Lt(1)]
    test_share: Annotated[float, Ge(0), Lt(1)]

    def __post_init__(self) -> None:
        if self.validation_share + self.test_share >= 1:
            raise ExpError(
                f"data.validation_share={self.validation_share} data.test_share={self.test_share}: nothing is left to "
                f"train on"
            )
        readers.require_file(self._file, "data.path")

    def columns(self) -> list[str]:
        return ["text"]

    def read(self) -> RawData:
        """Raises ExpError for a text so short that a split has no character."""
        text = read_text(self._file, self.encoding).replace("\r\n", "\n")
        held = self.validation_share + self.test_share
        first = int(len(text) * round(1 - held, 9))
        second = first + int((len(text) - first) * (self.validation_share / held))
        if not 0 < first < second:
            raise ExpError(f"{self._file}: {len(text)} characters are too few to split")
        return RawData(
            name=self.name,
            train=_rows(self._file, text, 0, first),
            evals={"": _rows(self._file, text, first, second)},
            tests={"": _rows(self._file, text, second, len(text))} if second < len(text) and self.test_share else {},
            roles={"text_column": "text", "between_rows": "nothing"},
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    @property
    def _file(self) -> Path:
        """`path` is the folder of `file`, or the file itself."""
        path = Path(self.path).expanduser()
        return path / self.file if path.is_dir() else path


def _rows(file: Path, text: str, start: int, stop: int) -> Rows:
    lines = text[start:stop].split("\n")
    rows = [*(f"{line}\n" for line in lines[:-1]), *lines[-1:]]
    if rows[-1] == "":
        rows.pop()
    line = text.count("\n", 0, start) + 1
    return Rows(file, {"text": rows}, list(range(line, line + len(rows))))
