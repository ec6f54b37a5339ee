"""From columns of text and labels to `RawData`: cuts, both sentence orders, the fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exp.data.base import RawData
from exp.errors import ExpError
from exp.metrics import names as metric_names

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Split:
    """The rows of one split, column by column, in the source's order."""

    texts: tuple[list[str], ...]  # one list, or two for pairs
    labels: list[int] | list[float] | None  # None: unlabelled
    ids: list[int] | list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int]) -> Split:
        labels: Any = None if self.labels is None else [self.labels[row] for row in rows]
        ids: Any = [self.ids[row] for row in rows]
        return Split(tuple([column[row] for row in rows] for column in self.texts), labels, ids)


def check_options(
    *,
    text_columns: int,
    regression: bool,
    metrics: Sequence[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
    both_orders: bool,
) -> None:
    """Raise ExpError on options that cannot work, before any row is read. `text_columns` counts them."""
    if text_columns not in (1, 2):
        raise ExpError(f"data.text_columns: {text_columns} columns; give one (single texts) or two (pairs)")
    if both_orders and text_columns == 1:
        raise ExpError("data.both_orders=true: these are single texts, only pairs have two orders")
    metric_names.check(metrics, "regression" if regression else "single_label")
    if max_length < 8:
        raise ExpError(f"data.max_length={max_length}: too short for a text and its special tokens; use 8 or more")
    for key, value in {"max_train_samples": max_train_samples, "max_eval_samples": max_eval_samples}.items():
        if value is not None and value < 1:
            raise ExpError(f"data.{key}={value}: give 1 or more, or null for all rows")


def sample(ids: Sequence[int] | Sequence[str], count: int | None) -> list[int]:
    """Row numbers of a fixed sample of `count` rows, in the source's order.

    Rows are ranked by a hash of their id and the first `count` are kept. So the sample does not depend on a
    seed, a file sorted by label still gives every class, and a larger sample contains every smaller one.
    """
    if count is None or count >= len(ids):
        return list(range(len(ids)))
    ranked = sorted(range(len(ids)), key=lambda row: (_digest(str(ids[row])), row))
    return sorted(ranked[:count])


def check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ExpError(f"data.validation_share={share}: give a share between 0 and 1, e.g. 0.1")


def carve(labels: Sequence[float] | None, rows: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Row numbers for (train, validation), each in the source's order; the same on every machine.

    With `labels` (class indices) every class gives the same share, and a class with a single row stays in
    train. Raises ExpError if nothing would be left for one of the two.
    """
    check_share(share)
    groups: dict[float, list[int]] = {}
    for row in range(rows):
        groups.setdefault(0 if labels is None else labels[row], []).append(row)
    held_out: set[int] = set()
    for members in groups.values():
        ranked = sorted(members, key=lambda row: (_digest(f"{seed}:{row}"), row))
        held_out.update(ranked[: min(round(share * len(members)), len(members) - 1)])
    if not held_out:
        raise ExpError(f"data.validation_share={share} of {rows} rows leaves no row to validate on; raise it")
    return [row for row in range(rows) if row not in held_out], sorted(held_out)


def assemble(
    *,
    name: str,
    train: Split,
    evals: Mapping[str, Split],
    tests: Mapping[str, Split],
    text_columns: Sequence[str],
    label_names: Sequence[str] | None,
    metrics: Sequence[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
    both_orders: bool,
) -> RawData:
    """Cut the splits and make them data sets. `max_eval_samples` cuts evaluation and test splits alike.

    Raises ExpError for a split without rows. With `both_orders` the train split holds every pair twice: all
    rows as they are, then all rows with their sentences exchanged (same ids). Evaluation is never doubled.
    """
    train = train.take(sample(train.ids, max_train_samples))
    evals = {suffix: split.take(sample(split.ids, max_eval_samples)) for suffix, split in evals.items()}
    tests = {suffix: split.take(sample(split.ids, max_eval_samples)) for suffix, split in tests.items()}
    if both_orders:
        train = _both_orders(train)
    named = {"train": train}
    named |= {_key("eval", suffix): split for suffix, split in evals.items()}
    named |= {_key("test", suffix): split for suffix, split in tests.items()}
    for key, split in named.items():
        if not len(split):
            raise ExpError(f"data {name!r}: the {key} split has no rows")

    def dataset(split: Split) -> Dataset:
        return _dataset(split, text_columns, label_names)

    return RawData(
        name=name,
        train=dataset(train),
        evals={suffix: dataset(split) for suffix, split in evals.items()},
        tests={suffix: dataset(split) for suffix, split in tests.items()},
        text_columns=tuple(text_columns),
        label_names=None if label_names is None else tuple(label_names),
        metrics=tuple(metrics),
        max_length=max_length,
        fingerprint=fingerprint(named, label_names),
    )


def fingerprint(splits: Mapping[str, Split], label_names: Sequence[str] | None) -> str:
    """sha256 over texts, labels and label names. Ids stay out: they do not change what is learned, and the
    Hub numbers MRPC's rows differently from GLUE's own files."""
    total = hashlib.sha256()

    def add(values: Iterable[object]) -> None:
        # Lengths first, so that moving a word from one cell to the next changes the sum.
        data = [str(value).encode("utf-8", "surrogatepass") for value in values]
        total.update(f"{len(data)}:{','.join(str(len(item)) for item in data)};".encode())
        total.update(b"".join(data))

    add(label_names or ())
    for key in sorted(splits):
        split = splits[key]
        add([key, len(split.texts), split.labels is not None])
        for column in split.texts:
            add(column)
        add(split.labels or ())
    return total.hexdigest()


def _key(kind: str, suffix: str) -> str:
    return f"{kind}_{suffix}" if suffix else kind


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _both_orders(split: Split) -> Split:
    first, second = split.texts
    labels: Any = None if split.labels is None else [*split.labels, *split.labels]
    ids: Any = [*split.ids, *split.ids]
    return replace(split, texts=(first + second, second + first), labels=labels, ids=ids)


def _dataset(split: Split, text_columns: Sequence[str], label_names: Sequence[str] | None) -> Dataset:
    from datasets import ClassLabel, Dataset, Features, Value

    columns: dict[str, Any] = dict(zip(text_columns, split.texts, strict=True))
    features: dict[str, Any] = {column: Value("string") for column in text_columns}
    columns["idx"] = split.ids
    features["idx"] = Value("string" if isinstance(split.ids[0], str) else "int64")
    if split.labels is not None:
        columns["label"] = split.labels
        features["label"] = Value("float64") if label_names is None else ClassLabel(names=list(label_names))
    return Dataset.from_dict(columns, features=Features(features))
