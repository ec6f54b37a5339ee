"""From the words of a command line to everything that is said about its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.config.compose import compose, plain
from exp.data import leakage
from exp.data.examples import TaskData
from exp.data.leakage import Leaks
from exp.data_report import features, rows
from exp.data_report.features import FeatureReport
from exp.data_report.rows import SplitReport
from exp.errors import ExpError
from exp.training.build import build_raw, build_task
from exp.training.launch import check_config


@dataclass(frozen=True)
class DataReport:
    """`files`: path -> how it was read. `near`: pairs of texts that are nearly the same; None: nobody asked."""

    name: str
    task: str
    model: str
    files: Mapping[str, str]
    splits: tuple[SplitReport, ...]
    seen: tuple[str, ...]  # labels of other splits that train lacks
    repeated: int  # rows of all splits whose text an earlier row has, train first
    leaks: Mapping[str, Leaks]
    columns: Mapping[str, Mapping[str, tuple[int, int]]]  # by split and column: rows, and values, that train has
    normalised: Mapping[str, Leaks]
    leaked: Mapping[str, Sequence[tuple[Any, str]]]  # the first rows that stand in train, with their ids
    near: Mapping[str, Sequence[tuple[str, str, float]]] | None
    features: FeatureReport


def make(words: Sequence[str], near: bool = False) -> DataReport:
    """Composes and checks the config as exp.train does, and makes no folder.

    Raises:
        ExpError: as exp.train, for a config, rows or a processor that cannot work; for `near` without datasketch.
    """
    for word in words:
        if word.startswith("-"):
            raise ExpError(f"{word}: no such flag; exp data takes the words of exp train, html=FILE and near=true")
    cfg = compose(words)
    check_config(cfg)
    config = plain(cfg)
    from exp.config.targets import make as option

    task = build_task(config)
    raw = build_raw(config)
    data = task.read(raw)
    processor = option(config["model"], "model").processor(data, task.head(data))
    splits = data.splits()
    looked = tuple(rows.look(name, split, data.labels) for name, split in splits.items())
    leaks = leakage.exact(data)
    return DataReport(
        name=data.name,
        task=str(cfg.hydra.runtime.choices.get("task")),
        model=str(cfg.hydra.runtime.choices.get("model")),
        files=_files(raw, config["data"]),
        splits=looked,
        seen=tuple(_unknown(looked)),
        repeated=_repeated(data),
        leaks=leaks,
        columns=leakage.columns(data),
        normalised=leakage.normalised(data),
        leaked={name: rows.named(splits[name], found.rows) for name, found in leaks.items()},
        near=_near(data) if near else None,
        features=features.look(task, data, processor, config["per_device_train_batch_size"]),
    )


def _files(raw: Any, node: Mapping[str, Any]) -> dict[str, str]:
    """Every file that rows came from, and its encoding where it is text."""
    given = node.get("encoding")
    found: dict[str, str] = {}
    for split in (raw.train, *raw.evals.values(), *raw.tests.values()):
        for path in dict.fromkeys([split.path, *(source.path for source in split.sources)]):
            if Path(path).is_file():
                found[str(path)] = _encoding(Path(path), given)
    return found


def _encoding(path: Path, given: str | None) -> str:
    if path.suffix == ".parquet":
        return "Parquet"
    with path.open("rb") as file:
        start = file.read(4)
    packed = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz"}.get(start[:2])
    mark = " with a byte-order mark" if start.startswith(b"\xef\xbb\xbf") else ""
    return f"{given or 'UTF-8'}{mark}" + (f", packed by {packed}" if packed else "")


def _unknown(looked: Sequence[SplitReport]) -> list[str]:
    train = looked[0].labels or {}
    return sorted(
        {
            label
            for split in looked[1:]
            for label, count in (split.labels or {}).items()
            if count and not train.get(label)
        }
    )


def _repeated(data: TaskData) -> int:
    every = [key for split in data.splits().values() for key in leakage.keys(split)]
    return len(every) - len(set(every))


def _near(data: TaskData) -> dict[str, list[tuple[str, str, float]]]:
    splits = data.splits()
    return {
        name: [(rows.text_of(splits[name], row), rows.text_of(data.train, at), share) for row, at, share in pairs]
        for name, pairs in leakage.near(data).items()
    }
