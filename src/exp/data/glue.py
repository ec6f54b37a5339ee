"""The nine classification and regression tasks of GLUE (Wang et al. 2018), from the Hub or from a folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exp.data import labels, readers
from exp.data.splits import Split, assemble, check_options
from exp.errors import ExpError, nearest

if TYPE_CHECKING:
    from exp.data.base import RawData

HUB_ID = "nyu-mll/glue"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GlueTask:
    """One task, as the Hub names things (`columns`, `names`) and as GLUE's own files do."""

    folder: str
    columns: tuple[str, ...]
    names: tuple[str, ...] | None  # class index -> name; None: regression
    file_columns: tuple[str, ...]
    file_label: str
    file_names: tuple[str, ...] | None = ("0", "1")  # class index -> what stands in the files
    header: tuple[str, ...] | None = None  # of train and dev, where the files have none
    drop_ragged: bool = False
    dev: tuple[tuple[str, str], ...] = (("", "dev"),)  # suffix, file
    test: tuple[tuple[str, str], ...] = (("", "test"),)
    hub_eval: tuple[tuple[str, str], ...] = (("", "validation"),)  # suffix, split
    hub_test: tuple[tuple[str, str], ...] = (("", "test"),)
    labelled_test: str | None = None  # preferred to the unlabelled file where it exists


_SENTENCE, _PAIR, _ENTAILMENT = ("sentence",), ("sentence1", "sentence2"), ("entailment", "not_entailment")
_NLI = ("entailment", "neutral", "contradiction")
TASKS = {
    "cola": GlueTask(
        "CoLA",
        _SENTENCE,
        ("unacceptable", "acceptable"),
        _SENTENCE,
        "label",
        header=("source", "label", "mark", "sentence"),
    ),
    "sst2": GlueTask("SST-2", _SENTENCE, ("negative", "positive"), _SENTENCE, "label"),
    "mrpc": GlueTask(
        "MRPC",
        _PAIR,
        ("not_equivalent", "equivalent"),
        ("#1 String", "#2 String"),
        "Quality",
        labelled_test="test-labeled",
    ),
    "stsb": GlueTask("STS-B", _PAIR, None, _PAIR, "score", file_names=None),
    # A few rows of QQP's own files lack fields; the Hub's copy leaves the same rows out.
    "qqp": GlueTask(
        "QQP",
        ("question1", "question2"),
        ("not_duplicate", "duplicate"),
        ("question1", "question2"),
        "is_duplicate",
        drop_ragged=True,
    ),
    "mnli": GlueTask(
        "MNLI",
        ("premise", "hypothesis"),
        _NLI,
        _PAIR,
        "gold_label",
        file_names=_NLI,
        dev=(("", "dev_matched"), ("mm", "dev_mismatched")),
        test=(("", "test_matched"), ("mm", "test_mismatched")),
        hub_eval=(("", "validation_matched"), ("mm", "validation_mismatched")),
        hub_test=(("", "test_matched"), ("mm", "test_mismatched")),
    ),
    "qnli": GlueTask(
        "QNLI",
        ("question", "sentence"),
        _ENTAILMENT,
        ("question", "sentence"),
        "label",
        file_names=_ENTAILMENT,
    ),
    "rte": GlueTask("RTE", _PAIR, _ENTAILMENT, _PAIR, "label", file_names=_ENTAILMENT),
    "wnli": GlueTask("WNLI", _PAIR, ("not_entailment", "entailment"), _PAIR, "label"),
}


def check(
    task: str,
    path: str | None,
    metrics: list[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
    both_orders: bool,
) -> None:
    """Raise ExpError for options or files that cannot work. Cheap: looks at names and sizes of files only."""
    what = _task(task)
    check_options(
        text_columns=len(what.columns),
        regression=what.names is None,
        metrics=metrics,
        max_length=max_length,
        max_train_samples=max_train_samples,
        max_eval_samples=max_eval_samples,
        both_orders=both_orders,
    )
    if path is not None and not _hub_files(task, Path(path).expanduser(), "train"):
        folder = _folder(what, Path(path).expanduser())
        for name in ("train", *(file for _, file in what.dev)):
            readers.require_file(folder / f"{name}.tsv", f"data={task} data.path={path}")


def glue(
    task: str,
    path: str | None,
    metrics: list[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
    both_orders: bool,
) -> RawData:
    """One task from the Hub (`path` None) or from a folder: GLUE's download or a copy of the Hub's Parquet
    files, the task's own folder or the one above. Raises ExpError for bad options, missing or broken files
    and a Hub that cannot be reached."""
    check(task, path, metrics, max_length, max_train_samples, max_eval_samples, both_orders)
    what = _task(task)
    if path is None:
        splits = _from_hub(task, what)
    elif _hub_files(task, Path(path).expanduser(), "train"):
        splits = _from_parquet(task, what, Path(path).expanduser())
    else:
        splits = _from_tsv(what, _folder(what, Path(path).expanduser()))
    train, evals, tests = splits
    return assemble(
        name=task,
        train=train,
        evals=evals,
        tests=tests,
        text_columns=what.columns,
        label_names=what.names,
        metrics=metrics,
        max_length=max_length,
        max_train_samples=max_train_samples,
        max_eval_samples=max_eval_samples,
        both_orders=both_orders,
    )


Splits = tuple[Split, dict[str, Split], dict[str, Split]]


def _task(task: str) -> GlueTask:
    if task not in TASKS:
        raise ExpError(f"data.task={task}: no GLUE task{nearest(task, TASKS)}")
    return TASKS[task]


def _folder(what: GlueTask, path: Path) -> Path:
    """`path` itself or, where it holds all of GLUE, the task's folder in it."""
    if not path.is_dir():
        raise ExpError(f"data.path={path}: there is no such folder")
    inner = path / what.folder
    if (path / "train.tsv").exists() or not inner.is_dir():
        return path
    return inner


def _hub_files(task: str, path: Path, split: str) -> list[Path]:
    """Parquet files of a split in a copy of the Hub's data set (`mrpc/train-00000-of-00001.parquet`)."""
    for folder in (path, path / task):
        found = sorted(folder.glob(f"{split}-*.parquet")) or sorted(folder.glob(f"{split}.parquet"))
        if found:
            return found
    return []


def _from_tsv(what: GlueTask, folder: Path) -> Splits:
    train = _tsv_split(what, folder / "train.tsv", what.header)
    evals = {suffix: _tsv_split(what, folder / f"{name}.tsv", what.header) for suffix, name in what.dev}
    tests = {}
    for suffix, name in what.test:
        best = folder / f"{what.labelled_test}.tsv"
        file = best if what.labelled_test and best.exists() else folder / f"{name}.tsv"
        if file.exists():
            tests[suffix] = _tsv_split(what, file, header=None)
    return train, evals, tests


def _tsv_split(what: GlueTask, file: Path, header: Sequence[str] | None) -> Split:
    table = readers.read_tsv(file, header, what.drop_ragged)
    if not len(table):
        raise ExpError(f"{file} has no rows")
    if table.dropped:
        log.warning(
            "%s: left out %d rows with missing fields, as the Hub's copy does (first: line %d)",
            file,
            len(table.dropped),
            table.dropped[0],
        )
    texts = tuple(table.texts(column) for column in what.file_columns)
    found: list[int] | list[float] | None = None
    if what.file_label in table.columns or file.stem == "train" or file.stem.startswith("dev"):
        if what.file_names is None:
            found = labels.scores(table, what.file_label)
        else:
            found = labels.class_indices(table, what.file_label, what.file_names)
    return Split(texts, found, list(range(len(table))))


def _from_parquet(task: str, what: GlueTask, path: Path) -> Splits:
    def split(name: str) -> Split | None:
        files = _hub_files(task, path, name)
        if not files:
            return None
        parts = [readers.read_parquet(file) for file in files]
        columns = {key: [cell for part in parts for cell in part.column(key)] for key in parts[0].columns}
        return _hub_split(what, readers.Rows(files[0], columns, list(range(1, sum(map(len, parts)) + 1))))

    found = {name: split(name) for name in ("train", *(name for _, name in (*what.hub_eval, *what.hub_test)))}
    for name in ("train", *(name for _, name in what.hub_eval)):
        if found[name] is None:
            raise ExpError(f"data={task} data.path={path}: there is no file {name}-*.parquet")
    return _arrange(what, found)


def _from_hub(task: str, what: GlueTask) -> Splits:
    from exp.data.hub import load

    loaded = load(HUB_ID, task, None)
    found: dict[str, Split | None] = {}
    for name, rows in loaded.items():
        numbers = list(range(1, rows.num_rows + 1))
        found[name] = _hub_split(what, readers.Rows(Path(f"{HUB_ID}/{task}/{name}.parquet"), rows.to_dict(), numbers))
    return _arrange(what, found)


def _arrange(what: GlueTask, found: dict[str, Split | None]) -> Splits:
    train = found["train"]
    assert train is not None
    evals = {suffix: split for suffix, name in what.hub_eval if (split := found.get(name))}
    tests = {suffix: split for suffix, name in what.hub_test if (split := found.get(name))}
    return train, evals, tests


def _hub_split(what: GlueTask, table: readers.Rows) -> Split:
    texts = tuple(table.texts(column) for column in what.columns)
    found: list[int] | list[float] | None = None
    if any(label is not None and label >= 0 for label in table.column("label")):  # -1: not published
        if what.names is None:
            found = labels.scores(table, "label")
        else:
            known = [str(number) for number in range(len(what.names))]
            found = labels.class_indices(table, "label", known)
    ids = table.columns.get("idx", list(range(len(table))))
    return Split(texts, found, ids)
