"""Examples as numbers: made once per data set, processor and length, for all runs that share a cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exp.data.mapped_npz import mapped_npz

if TYPE_CHECKING:
    from exp.data.examples import Examples, TaskData

log = logging.getLogger(__name__)
_FORMAT = 2  # of the cache file; a new number makes old entries unreadable


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length end to end; row i is `values[starts[i]:starts[i + 1]]`."""

    values: NDArray[Any]  # [all values]
    starts: NDArray[np.int64]  # [rows + 1]

    @staticmethod
    def of(rows: list[NDArray[Any]], dtype: Any) -> Ragged:
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        values = np.concatenate(rows).astype(dtype, copy=False) if rows else np.zeros(0, dtype)
        return Ragged(values, starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.starts[row] : self.starts[row + 1]]


Fields = dict[str, Ragged]


class FeatureSet:
    """The rows that a model is shown, unpadded, as dicts of lists.

    `fields` are a model's arguments by their names (`input_ids`, `token_type_ids`, token labels); `attention_mask` is
    all ones and made on the way. `targets` are whole rows' labels, one each. `kept` is for `answer` and `decode`: what
    of a row the model does not see. Usually row i is example i; a long example may have several rows, and then
    `example[i]` says whose row i is.
    """

    def __init__(
        self, fields: Fields, targets: list[Any] | None, kept: Fields, example: NDArray[np.int64] | None
    ) -> None:
        self.targets = targets
        self.kept = kept
        self.example = example
        self.fields = fields
        longest = fields.get("input_ids") or next(iter(fields.values()))
        self.lengths: list[int] = np.diff(longest.starts).tolist()  # tokens of each row

    @property
    def longest(self) -> list[int] | None:
        """Tokens of each row's longest field, be it the source or the target; None where a model reads no tokens."""
        fields = [np.diff(field.starts) for field in self.fields.values()]
        return np.maximum.reduce(fields).tolist() if "input_ids" in self.fields else None

    in_order = False  # True: rows are asked for as they are numbered, and nobody knows how many there are

    @property
    def beginning(self) -> FeatureSet:
        """All rows; of a stream the first ones, which may be asked for in any order."""
        return self

    def each(self, wrap: Callable[[FeatureSet], FeatureSet]) -> FeatureSet:
        """What `wrap` makes of this set; of a stream, of each portion."""
        return wrap(self)

    def check_batch(self, size: int) -> None:
        """Raises ExpError where a stream has fewer rows than a batch."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold, of a train split; JSON has words for it."""
        return {}

    def together(self, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """One state of those of all processes."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Comes before `begin_epoch`."""

    def begin_epoch(self, epoch: int, seed: int) -> None:
        """Called on the train split before each epoch. What is drawn anew in training (masks, augmentations) depends on
        `seed`, `epoch` and the row alone, so that a resumed run draws the same; here nothing is."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        item: dict[str, Any] = {name: field[row].tolist() for name, field in self.fields.items()}
        item["attention_mask"] = [1] * self.lengths[row]
        if self.targets is not None:
            item["labels"] = self.targets[row]
        return item


@dataclass(frozen=True)
class Encoded:
    train: FeatureSet
    evals: Mapping[str, FeatureSet]  # suffixes as in TaskData
    tests: Mapping[str, FeatureSet]
    cache_file: Path | None  # None: the cache folder cannot be written
    from_cache: bool  # True: nothing was encoded


@dataclass(frozen=True)
class EncodedRows:
    """What a task's own encoder gives for one split: see FeatureSet."""

    fields: Fields
    kept: Fields
    example: NDArray[np.int64] | None = None


def encode_splits(
    data: TaskData,
    key: Mapping[str, Any],
    cache_dir: str | Path,
    make: Callable[[Examples], EncodedRows],
    targets: Callable[[Examples], list[Any] | None],
) -> Encoded:
    """Every split through `make`, or from the cache.

    The result is kept in `cache_dir`/tokens under a key over the data's contents and `key`, which says everything
    else that the fields depend on. The file appears at once or not at all, so any number of processes may share the
    folder. An entry that cannot be read is made anew. A folder that cannot be written costs a warning and the next
    run's time, nothing else. `targets` are not in the cache.
    """
    splits = data.splits()
    asked = json.dumps({"format": _FORMAT, "data": data.fingerprint, **key}, sort_keys=True)
    file: Path | None = Path(cache_dir).expanduser() / "tokens" / f"{hashlib.sha256(asked.encode()).hexdigest()}.npz"
    assert file is not None
    made = _read(file, splits)
    from_cache = made is not None
    if made is None:
        made = {name: make(split) for name, split in splits.items()}
        if _write(file, made):
            made = _read(file, splits) or made  # pages of the file, which other processes share
        else:
            file = None

    def features(rows: EncodedRows, split: Examples) -> FeatureSet:
        return FeatureSet(rows.fields, targets(split), rows.kept, rows.example)

    sets = {name: features(made[name], split) for name, split in splits.items()}
    train = sets["train"]
    if data.stream is not None:
        from exp.data.streamed import StreamedFeatures  # whose class is made of this one's

        train = StreamedFeatures(train, data.stream, lambda split: features(make(split), split))
    return Encoded(
        train=train,
        evals={suffix: sets[f"eval_{suffix}" if suffix else "eval"] for suffix in data.evals},
        tests={suffix: sets[f"test_{suffix}" if suffix else "test"] for suffix in data.tests},
        cache_file=file,
        from_cache=from_cache,
    )


def _read(file: Path, splits: Mapping[str, Examples]) -> dict[str, EncodedRows] | None:
    """None where there is no whole entry for these splits."""
    found: dict[str, dict[str, Any]] = {}
    try:
        for name, values in mapped_npz(file).items():  # a zip with a checksum for every array
            split, kind, field = name.split("/")
            found.setdefault(split, {})[f"{kind}/{field}"] = values
    except FileNotFoundError:
        return None
    except (OSError, ValueError, zipfile.BadZipFile, struct.error) as error:
        log.warning("the cache entry %s cannot be read (%s); encoding again", file, error)
        return None
    try:
        made = {name: _unpacked(found[name], len(split)) for name, split in splits.items()}
    except (KeyError, ValueError):
        log.warning("the cache entry %s does not fit the data; encoding again", file)
        return None
    return made


def _unpacked(arrays: Mapping[str, NDArray[Any]], examples: int) -> EncodedRows:
    """Raises ValueError or KeyError where the arrays do not belong together."""
    groups: dict[str, Fields] = {"fields": {}, "kept": {}}
    for name, values in arrays.items():
        kind, field = name.split("/")
        if kind in groups:
            groups[kind][field] = Ragged(values, arrays[f"starts/{kind}-{field}"])
    example = arrays.get("example/row")
    rows = {len(field) for fields in groups.values() for field in fields.values()}
    whole = all(field.starts[-1] == len(field.values) for fields in groups.values() for field in fields.values())
    last = examples - 1 if example is None or not len(example) else int(example[-1])
    if len(rows) != 1 or not whole or last >= examples or (example is None and rows != {examples}):
        raise ValueError("the arrays do not belong together")
    return EncodedRows(groups["fields"], groups["kept"], example)


def _write(file: Path, made: Mapping[str, EncodedRows]) -> bool:
    arrays: dict[str, Any] = {}
    for name, split in made.items():
        for kind, fields in (("fields", split.fields), ("kept", split.kept)):
            for field, ragged in fields.items():
                arrays[f"{name}/{kind}/{field}"] = ragged.values
                arrays[f"{name}/starts/{kind}-{field}"] = ragged.starts
        if split.example is not None:
            arrays[f"{name}/example/row"] = split.example
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent, prefix=file.stem[:16], suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez(stream, **arrays)
            Path(part).replace(file)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        log.warning("features are not cached: %s cannot be written (%s)", file.parent, error.strerror or error)
        return False
    return True
