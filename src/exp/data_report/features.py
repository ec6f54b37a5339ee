"""What a model would be given: lengths in tokens, what is cut, what is padding, and three examples decoded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exp.data.collate import IGNORED
from exp.data.examples import TaskData
from exp.task.assemble import sample, with_fingerprint

if TYPE_CHECKING:
    from exp.data.features import Encoded, FeatureSet
    from exp.task.base import Task

SAMPLED = 3_000  # rows of a split that are tokenized: their lengths are known to a percent
LONG = 1_000_000  # tokens: nothing is cut
SHOWN = 3
CUT_AT = 48  # tokens of a shown example


@dataclass(frozen=True)
class Lengths:
    """In tokens, of a sample of a split's rows. `cut`: rows longer than the limit; None: the task has limits of its
    own. `windows`: rows that need several; 0 where the task has none."""

    split: str
    looked_at: int
    mean: float
    median: float
    p95: float
    longest: int
    limit: int
    at_limit: int
    cut: int | None
    windows: int


@dataclass(frozen=True)
class Shown:
    """One example, field by field: tokens, and labels under them where every token has one."""

    row: Any
    fields: Mapping[str, str]


@dataclass(frozen=True)
class FeatureReport:
    lengths: tuple[Lengths, ...]
    padding: Mapping[str, float]  # share of a batch's places, by how batches are made
    batch_size: int
    examples: tuple[Shown, ...]


def look(task: Task, data: TaskData, processor: Any, batch_size: int) -> FeatureReport:
    few = _sampled(data)
    with tempfile.TemporaryDirectory() as scratch:  # a sample is no entry for the cache
        encoded = task.encode(few, processor, Path(scratch))
        whole = _uncut(task, few, encoded, processor, Path(scratch))
    sets = {"train": encoded.train, **_named("eval", encoded.evals), **_named("test", encoded.tests)}
    lengths = [
        _lengths(name, features, whole.get(name) if whole else None, data.max_length) for name, features in sets.items()
    ]
    return FeatureReport(
        lengths=tuple(lengths),
        padding=_padding(np.asarray(encoded.train.lengths), batch_size),
        batch_size=batch_size,
        examples=tuple(_shown(encoded.train, few, row, processor) for row in range(min(SHOWN, len(encoded.train)))),
    )


def _named(kind: str, sets: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{kind}_{suffix}" if suffix else kind: one for suffix, one in sets.items()}


def _sampled(data: TaskData) -> TaskData:
    """At most SAMPLED rows of each split."""
    return _taken(data, {name: sample(one.ids, SAMPLED) for name, one in data.splits().items()})


def _uncut(
    task: Task, data: TaskData, encoded: Encoded, processor: Any, scratch: Path
) -> Mapping[str, np.ndarray] | None:
    """Tokens of every row where nothing is cut, by split; None where the task or its processor has other limits.

    Only rows that may have been cut are tokenized once more.
    """
    found = {name: np.array(lengths) for name, lengths in _tokens_of(encoded).items()}
    splits = data.splits()
    reached = {name: np.flatnonzero(lengths >= data.max_length) for name, lengths in found.items()}
    if not any(map(len, reached.values())):
        return found
    by_row = all(len(splits[name]) == len(lengths) for name, lengths in found.items())
    if not hasattr(processor, "model_max_length") or not by_row:
        return None
    rows = {name: list(map(int, at)) or [0] for name, at in reached.items()}  # no split may be empty
    limit, processor.model_max_length = processor.model_max_length, LONG
    try:
        long = task.encode(replace(_taken(data, rows), max_length=LONG), processor, scratch)
    finally:
        processor.model_max_length = limit
    for name, lengths in _tokens_of(long).items():
        if len(lengths) != len(rows[name]):
            return None
        found[name][rows[name]] = lengths
    return found


def _taken(data: TaskData, rows: Mapping[str, Sequence[int]]) -> TaskData:
    """Some rows of each split, by its name."""
    evals, tests = (
        {suffix: split.take(rows[name]) for (name, split), suffix in zip(_named(kind, sets).items(), sets, strict=True)}
        for kind, sets in (("eval", data.evals), ("test", data.tests))
    )
    few = replace(data, train=data.train.take(rows["train"]), evals=evals, tests=tests, stream=None)
    return with_fingerprint(few)


def _tokens_of(encoded: Encoded) -> dict[str, Sequence[int]]:
    sets = {"train": encoded.train, **_named("eval", encoded.evals), **_named("test", encoded.tests)}
    return {name: features.lengths for name, features in sets.items()}


def _lengths(name: str, features: FeatureSet, whole: np.ndarray | None, limit: int) -> Lengths:
    lengths = np.asarray(features.lengths)
    owners = getattr(features, "example", None)
    windows = int((np.bincount(owners) > 1).sum()) if owners is not None and len(owners) else 0
    cut = None
    if owners is None and whole is not None and len(whole) == len(lengths):
        cut = int((whole > lengths).sum())
        lengths_shown = whole
    else:
        lengths_shown = lengths
    return Lengths(
        split=name,
        looked_at=len(lengths) if owners is None else int(owners.max()) + 1,
        mean=float(lengths_shown.mean()),
        median=float(np.median(lengths_shown)),
        p95=float(np.quantile(lengths_shown, 0.95)),
        longest=int(lengths_shown.max()),
        limit=limit,
        at_limit=int((lengths >= limit).sum()),
        cut=cut,
        windows=windows,
    )


def _padding(lengths: np.ndarray, batch_size: int) -> dict[str, float]:
    """The share of places that hold no token, in batches drawn at random and in batches of similar length."""
    drawn = np.random.default_rng(0).permutation(lengths)
    return {"random": _share(drawn, batch_size), "length_grouped": _share(np.sort(lengths), batch_size)}


def _share(lengths: np.ndarray, batch_size: int) -> float:
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    places = sum(int(batch.max()) * len(batch) for batch in batches)
    return 1 - float(lengths.sum()) / places if places else 0.0


def _shown(features: FeatureSet, data: TaskData, row: int, processor: Any) -> Shown:
    fields: dict[str, str] = {}
    labels = data.labels
    owners = getattr(features, "example", None)
    for name, values in features[row].items():
        if name == "attention_mask":
            continue
        if name == "input_ids" or name.endswith("input_ids"):
            fields[name] = _tokens(values, processor)
        elif name == "labels":
            fields[name] = _labels(values, labels, processor)
        else:
            fields[name] = _values(values)
    example = row if owners is None else int(owners[row])
    return Shown(data.train.ids[example], fields)


def _tokens(ids: Any, processor: Any) -> str:
    if not len(ids) or not np.isscalar(ids[0]) or not hasattr(processor, "convert_ids_to_tokens"):
        return _values(ids)
    told = processor.convert_ids_to_tokens([int(one) for one in ids[:CUT_AT]])
    return " ".join(told) + _rest(len(ids))


def _labels(values: Any, names: Sequence[str] | None, processor: Any) -> str:
    """IGNORED is a dot; the rest are names of classes, or tokens where there are none."""
    if not isinstance(values, list | tuple | np.ndarray):
        return names[int(values)] if names is not None else f"{values:g}"
    cells = list(values)
    if names is not None and len(cells) == len(names) and all(isinstance(one, float) for one in cells):
        return ", ".join(name for name, hot in zip(names, cells, strict=True) if hot) or "none"
    if names is not None:
        told = ["·" if one == IGNORED else names[int(one)] for one in cells[:CUT_AT]]
    elif hasattr(processor, "convert_ids_to_tokens"):
        kept = [int(one) for one in cells[:CUT_AT]]
        told = ["·" if one == IGNORED else str(processor.convert_ids_to_tokens(one)) for one in kept]
    else:
        return _values(values)
    return " ".join(told) + _rest(len(cells))


def _rest(count: int) -> str:
    return f" … {count - CUT_AT} more" if count > CUT_AT else ""


def _values(values: Any) -> str:
    array = np.asarray(values)
    if array.ndim == 1 and array.dtype.kind in "iub":
        return _runs([int(one) for one in array])
    if array.ndim == 0:
        return str(array)
    return f"{' x '.join(map(str, array.shape))} numbers, {array.min():.3g} to {array.max():.3g}"


def _runs(values: Sequence[int]) -> str:
    """`0 x 12, 1 x 7`"""
    found: list[list[int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1][1] += 1
        else:
            found.append([value, 1])
    told = ", ".join(f"{value} x {count}" for value, count in found[:12])
    return told + (f", … {len(found) - 12} more" if len(found) > 12 else "")
