"""Your own files: CSV, TSV, JSON, Parquet, CoNLL or CoNLL-U."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from exp.data import readers
from exp.data.base import HoldOut, RawData, Sampled, check_set_name
from exp.data.readers import ReadOptions
from exp.data.rows import Rows
from exp.errors import ExpError, nearest

LINES = {"between_rows": "line_break"}  # what format=text says of its rows: they are lines of one text
Names = str | list[str] | None  # one file, a glob, or several of either


@dataclass(frozen=True)
class Files(Sampled):
    """`path` is the folder of relative file names. Without a validation file a share of the train rows is held out."""

    name: str | None
    path: str | None
    train_file: Names
    validation_file: Names
    test_file: Names
    test_files: dict[str, str] | None
    validation_share: Annotated[float, Gt(0), Lt(1)]
    split_seed: Annotated[int, Ge(0)]
    id_column: str | None
    format: Literal["csv", "tsv", "json", "parquet", "conll", "conllu", "text"] | None
    sep: str | None
    header: Literal["infer", "none"] | None
    names: list[str] | None
    encoding: str | None
    quotechar: str | None
    escapechar: str | None
    records_key: str | None
    roles: dict[str, Any] | None

    def __post_init__(self) -> None:
        """Looks at names and sizes of files only."""
        if not self.train_file:
            raise ExpError("data=files needs data.train_file, e.g. data.train_file=reviews.csv")
        if self.test_file is not None and self.test_files is not None:
            raise ExpError("data.test_file and data.test_files are both given; keep one")
        for name in self.test_files or {}:
            check_set_name(name, "data.test_files")
        for key in ("train_file", "validation_file", "test_file"):
            self._paths(key, getattr(self, key))
        for name, file in (self.test_files or {}).items():
            self._paths(f"test_files.{name}", file)

    def columns(self) -> list[str] | None:
        """The header of the first train file."""
        paths = self._paths("train_file", self.train_file)
        return readers.header_of(paths[0], self._options)

    def read(self) -> RawData:
        """Raises ExpError, with file and line, for anything that does not fit."""
        train = self._paths("train_file", self.train_file)
        return RawData(
            name=self.name or train[0].name.partition(".")[0],
            train=self._rows("train_file", self.train_file),
            evals={} if self.validation_file is None else {"": self._rows("validation_file", self.validation_file)},
            tests=self._tests(),
            roles={**(LINES if self.format == "text" else {}), **(self.roles or {})},
            id_column=self.id_column,
            hold_out=HoldOut(self.validation_share, self.split_seed) if self.validation_file is None else None,
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    @property
    def _options(self) -> ReadOptions:
        given: Mapping[str, Any] = {name: getattr(self, name) for name in ReadOptions.__dataclass_fields__}
        return ReadOptions(**given)

    def _tests(self) -> dict[str, Rows]:
        if self.test_file is not None:
            return {"": self._rows("test_file", self.test_file)}
        return {name: self._rows(f"test_files.{name}", file) for name, file in (self.test_files or {}).items()}

    def _rows(self, key: str, files: Names) -> Rows:
        return readers.read(self._paths(key, files), self._options)

    def _paths(self, key: str, files: Names) -> list[Path]:
        """Raises ExpError for a name that fits no file, and for a file whose format is unknown."""
        base = Path(self.path or "").expanduser()
        if self.path is not None and not base.is_dir():
            near = nearest(base.name, (item.name for item in base.parent.iterdir())) if base.parent.is_dir() else ""
            raise ExpError(f"data.path={self.path}: there is no such folder{near}")
        found: list[Path] = []
        for name in [files] if isinstance(files, str) else files or []:
            try:
                paths = readers.expand(name, base)
                for path in paths:
                    readers.require_file(path, f"data.{key}")
                    readers.require_format(path, self._options)
            except ExpError as error:
                folder = (
                    "; data.path=<folder> says where it lies" if self.path is None and not base.is_absolute() else ""
                )
                raise ExpError(f"{error}{folder}") from None
            found += paths
        return found
