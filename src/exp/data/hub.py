"""Any data set of the Hugging Face Hub, or a local folder that `datasets.load_dataset` understands."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Lt

from exp.data.base import HoldOut, RawData, Sampled
from exp.data.files import check_streaming
from exp.data.hub_stream import HubRows
from exp.data.rows import Rows
from exp.data.stream import Stream, beginning
from exp.errors import ExpError, nearest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDatasetDict


@dataclass(frozen=True)
class HubDataset(Sampled):
    """Class indices become the data set's own names of them."""

    path: str | None
    name: str | None
    revision: str | None
    train_split: str
    validation_split: str | None
    test_split: str | None
    validation_share: Annotated[float, Gt(0), Lt(1)]
    split_seed: Annotated[int, Ge(0)]
    id_column: str | None
    roles: dict[str, Any] | None = None  # not in configs of the first version
    # Not in configs that are older than the keys.
    streaming: bool = field(default=False, kw_only=True)
    shuffle_buffer: Annotated[int, Ge(1)] = field(default=10_000, kw_only=True)

    def __post_init__(self) -> None:
        if self.path is None:
            raise ExpError("data=hub needs data.path: a data set's id, e.g. data.path=stanfordnlp/imdb, or a folder")
        if self.path.startswith((".", "/", "~")) and not Path(self.path).expanduser().is_dir():
            raise ExpError(f"data.path={self.path}: there is no such folder")
        if self.streaming:
            check_streaming(self, self.validation_split)

    def columns(self) -> None:
        """Known only when the Hub has been asked."""

    def read(self) -> RawData:
        path, loaded = self._path(), self._load(self.streaming)
        stream = self.stream() if self.streaming else None
        train, whole = beginning(stream) if stream else (_rows(loaded, path, self.train_split), True)
        return RawData(
            name=self._full_name(),
            train=train,
            stream=stream,
            whole=whole,
            evals=self._evals(loaded),
            tests={} if self.test_split is None else {"": _rows(loaded, path, self.test_split)},
            roles={**_own_names(loaded[self.train_split]), **(self.roles or {})},
            id_column=self.id_column,
            hold_out=HoldOut(self.validation_share, self.split_seed) if self.validation_split is None else None,
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    @property
    def given_roles(self) -> dict[str, Any]:
        return self.roles or {}

    def evaluation_sets(self, streaming: bool) -> dict[str, Rows]:
        return {} if self.validation_split is None else self._evals(self._load(streaming))

    def _evals(self, loaded: Any) -> dict[str, Rows]:
        return {} if self.validation_split is None else {"": _rows(loaded, self._path(), self.validation_split)}

    def require_streamable(self) -> None:
        """`datasets` streams whatever it reads."""

    def stream(self) -> Stream:
        """The train rows, as they are needed."""
        name, rows = self._full_name(), split_of(self._load(streaming=True), self._path(), self.train_split)
        return Stream(
            rows.num_shards,
            lambda lane, lanes: HubRows(rows.shard(num_shards=lanes, index=lane), name),
            self.shuffle_buffer,
            {"name": name, "revision": self.revision, "shards": rows.num_shards, "buffer": self.shuffle_buffer},
        )

    def _load(self, streaming: bool) -> DatasetDict | IterableDatasetDict:
        return load(self._path(), self.name, self.revision, streaming)

    def _path(self) -> str:
        assert self.path is not None
        folder = Path(self.path).expanduser()
        return str(folder) if folder.is_dir() else self.path

    def _full_name(self) -> str:
        return self._path() if self.name is None else f"{self._path()}/{self.name}"


def load(path: str, name: str | None, revision: str | None, streaming: bool = False) -> Any:
    """`datasets.load_dataset`, its many ways to fail said in the user's words as ExpError."""
    from datasets import DatasetDict, IterableDatasetDict, load_dataset
    from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

    what = path if name is None else f"{path} ({name})"
    try:
        loaded = load_dataset(path, name, revision=revision, streaming=streaming)
    except DatasetNotFoundError as error:
        raise ExpError(
            f"data.path={path}: the Hub has no such data set, or it is private or gated ({error}); "
            f"check the spelling, or log in with `hf auth login`"
        ) from error
    except ConnectionError as error:
        why = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") else "the Hub cannot be reached"
        raise ExpError(
            f"{what}: {why}, and the cache does not hold it. To work offline give a local copy "
            f"(data.path=<folder>), or run once with a connection: later runs read the cache "
            f"(HF_HOME, by default ~/.cache/huggingface)"
        ) from error
    except DatasetGenerationError as error:
        raise ExpError(
            f"{what}: its files cannot be read as one table ({_first_line(error.__cause__ or error)}); "
            f"files that differ are read one by one with data=files"
        ) from error
    except (ValueError, OSError, RuntimeError) as error:
        # An unknown configuration, a revision that is not there, a folder without data files.
        raise ExpError(f"{what}: {_first_line(error)}") from error
    if not isinstance(loaded, DatasetDict | IterableDatasetDict):
        raise ExpError(f"{what}: the data set has no named splits")
    return loaded


def split_of(loaded: Any, path: str, split: str) -> Any:
    if split not in loaded:
        raise ExpError(f"{path} has no split {split!r}{nearest(split, loaded)}")
    return loaded[split]


def _rows(loaded: DatasetDict | IterableDatasetDict, path: str, split: str) -> Rows:
    """A split as columns of Python values, class indices turned to their names, -1 to None."""
    rows = split_of(loaded, path, split)
    if not hasattr(rows, "num_rows"):  # a stream, of which an evaluation set is read whole
        from datasets import Dataset

        rows = Dataset.from_list(list(rows), features=rows.features)
    for column in _media_columns(rows):  # {bytes, path}: decoded when a batch asks for them
        rows = rows.cast_column(column, replace(rows.features[column], decode=False))
    columns: dict[str, list[Any]] = rows.to_dict()
    for column, names in _class_columns(rows).items():
        columns[column] = [_named(cell, names) for cell in columns[column]]
    return Rows(Path(f"{path}/{split}.parquet"), columns, list(range(1, rows.num_rows + 1)))


def _named(cell: Any, names: list[str]) -> Any:
    if isinstance(cell, list):
        return [_named(one, names) for one in cell]
    return None if cell is None or cell < 0 else names[cell]


def _class_columns(split: Dataset) -> dict[str, list[str]]:
    """Columns of class indices, or of lists of them, with their names."""
    from datasets import ClassLabel

    found = {}
    for column, feature in (split.features or {}).items():
        inner = getattr(feature, "feature", feature)
        if isinstance(inner, ClassLabel):
            found[column] = list(inner.names)
    return found


def _media_columns(split: Dataset) -> dict[str, str]:
    """Columns of images and recordings, with the key of the task that names such a column."""
    from datasets import Audio, Image

    keys = {Image: "image_column", Audio: "audio_column"}
    features = split.features or {}  # a stream does not always know them
    return {column: keys[type(feature)] for column, feature in features.items() if type(feature) in keys}


def _own_names(split: Dataset) -> dict[str, Any]:
    """The data set's order of names, where one column of classes has them, and its only image or recording."""
    classes, media = _class_columns(split), _media_columns(split)
    names: dict[str, Any] = {"label_names": next(iter(classes.values()))} if len(classes) == 1 else {}
    return names | ({key: column for column, key in media.items()} if len(media) == 1 else {})


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
