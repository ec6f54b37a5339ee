"""Parallel text: two files a split, line n of one belongs to line n of the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from exp.data import readers
from exp.data.base import HoldOut, RawData, Sampled
from exp.data.readers import ReadOptions
from exp.data.rows import Rows
from exp.errors import ExpError, nearest

SOURCE, TARGET = "source", "target"  # columns of the rows


@dataclass(frozen=True)
class Parallel(Sampled):
    """`path` is the folder of relative file names. Files may be compressed; an empty line is a row."""

    name: str | None
    path: str | None
    train_source_file: str | None
    train_target_file: str | None
    validation_source_file: str | None
    validation_target_file: str | None
    test_source_file: str | None
    test_target_file: str | None
    validation_share: Annotated[float, Gt(0), Lt(1)]
    split_seed: Annotated[int, Ge(0)]
    encoding: str | None
    roles: dict[str, Any] | None

    def __post_init__(self) -> None:
        """Looks at names and sizes of files only."""
        if self.train_source_file is None:
            raise ExpError(
                "data=parallel needs both sides, e.g. data.train_source_file=train.en data.train_target_file=train.de"
            )
        for split in ("train", "validation", "test"):
            source, target = (f"{split}_{side}_file" for side in (SOURCE, TARGET))
            if getattr(self, source) is None and getattr(self, target) is not None:
                raise ExpError(f"data.{target}={getattr(self, target)} needs data.{source}")
            if getattr(self, target) is None and getattr(self, source) is not None and split != "test":
                raise ExpError(f"data.{source}={getattr(self, source)} needs data.{target}")
            for key in (source, target):
                if getattr(self, key) is not None:
                    self._file(key)
        ReadOptions(format="text", encoding=self.encoding)

    def columns(self) -> list[str]:
        return [SOURCE, TARGET]

    def read(self) -> RawData:
        """Raises ExpError for two files of different length, naming both."""
        has_validation = self.validation_source_file is not None
        return RawData(
            name=self.name or self._file("train_source_file").name.partition(".")[0],
            train=self._rows("train"),
            evals={"": self._rows("validation")} if has_validation else {},
            tests={} if self.test_source_file is None else {"": self._rows("test")},
            roles=self.roles or {},
            hold_out=None if has_validation else HoldOut(self.validation_share, self.split_seed),
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    def _rows(self, split: str) -> Rows:
        """The source's lines as rows, with the target's beside them where it is given."""
        source = self._lines(f"{split}_source_file", SOURCE)
        if getattr(self, f"{split}_target_file") is None:
            return source
        target = self._lines(f"{split}_target_file", TARGET)
        if len(source) != len(target):
            raise ExpError(
                f"{source.path} has {len(source)} lines and {target.path} has {len(target)}; line n of one has to "
                f"translate line n of the other"
            )
        source.columns[TARGET] = target.columns[TARGET]
        return source

    def _lines(self, key: str, column: str) -> Rows:
        return readers.read(self._file(key), ReadOptions(format="text", names=[column], encoding=self.encoding))

    def _file(self, key: str) -> Path:
        """Raises ExpError for a name, or a pattern such as train.en*, that fits no file or several."""
        base = Path(self.path or "").expanduser()
        if self.path is not None and not base.is_dir():
            near = nearest(base.name, (item.name for item in base.parent.iterdir())) if base.parent.is_dir() else ""
            raise ExpError(f"data.path={self.path}: there is no such folder{near}")
        found = readers.expand(getattr(self, key), base)
        if len(found) > 1:
            raise ExpError(f"data.{key}={getattr(self, key)} fits {len(found)} files ({found[0]}, {found[1]}, ...)")
        readers.require_file(found[0], f"data.{key}")
        return found[0]
