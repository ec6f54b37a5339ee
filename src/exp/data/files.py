"""Your own files: CSV, TSV, JSON, Parquet, CoNLL or CoNLL-U."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from exp.data import readers
from exp.data.base import HoldOut, RawData, Sampled, check_set_name
from exp.data.line_stream import LineRows
from exp.data.read_options import ReadOptions, format_of
from exp.data.rows import Rows
from exp.data.stream import Stream, beginning
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
    # Not in configs that are older than the keys.
    streaming: bool = field(default=False, kw_only=True)
    shuffle_buffer: Annotated[int, Ge(1)] = field(default=10_000, kw_only=True)

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
        if self.streaming:
            check_streaming(self, self.validation_file)
            self.require_streamable()

    def columns(self) -> list[str] | None:
        """The header of the first train file."""
        paths = self._paths("train_file", self.train_file)
        return readers.header_of(paths[0], self._options)

    def read(self) -> RawData:
        """Raises ExpError, with file and line, for anything that does not fit."""
        stream = self.stream() if self.streaming else None
        train, whole = beginning(stream) if stream else (self._rows("train_file", self.train_file), True)
        return RawData(
            name=self._name(),
            train=train,
            stream=stream,
            whole=whole,
            evals=self.evaluation_sets(self.streaming),
            tests=self._tests(),
            roles=self.given_roles,
            id_column=self.id_column,
            hold_out=HoldOut(self.validation_share, self.split_seed) if self.validation_file is None else None,
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    @property
    def given_roles(self) -> dict[str, Any]:
        return {**(LINES if self.format == "text" else {}), **(self.roles or {})}

    def evaluation_sets(self, streaming: bool) -> dict[str, Rows]:
        """Read whole, whether the train rows are streamed or not."""
        return {} if self.validation_file is None else {"": self._rows("validation_file", self.validation_file)}

    def require_streamable(self) -> None:
        """Raises ExpError for files whose rows are no lines."""
        for path in self._paths("train_file", self.train_file):
            found = format_of(path, self._options)
            if found not in ("text", "json"):
                raise ExpError(
                    f"{path}: data.streaming=true reads text and JSON lines, and this is {found}; a folder of such "
                    f"files is streamed by data=hub data.path=<folder>"
                )

    def stream(self) -> Stream:
        """The train rows, as they are needed."""
        files = self._paths("train_file", self.train_file)
        facts = {
            "name": self._name(),
            "files": [[file.name, file.stat().st_size] for file in files],
            "buffer": self.shuffle_buffer,
        }
        return Stream(
            len(files),
            lambda lane, lanes: LineRows(files[lane::lanes], self._options),
            self.shuffle_buffer,
            facts,
        )

    def _name(self) -> str:
        return self.name or self._paths("train_file", self.train_file)[0].name.partition(".")[0]

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


def check_streaming(option: Any, evaluated_on: Any) -> None:
    """Raises ExpError for keys of a data option that need to know all rows."""
    if evaluated_on is None:
        raise ExpError(
            "data.streaming=true knows no end of the rows, so no share of them can be held out: give "
            "data.validation_file (data=hub: data.validation_split)"
        )
    if option.max_train_samples is not None:
        raise ExpError(
            f"data.max_train_samples={option.max_train_samples} draws among all rows, and data.streaming=true reads "
            f"them as they come: say how long to train with max_steps"
        )
    if option.id_column is not None:
        raise ExpError("data.id_column compares the ids of all rows: set it to null with data.streaming=true")
