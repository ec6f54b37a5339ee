"""The nine classification and regression tasks of GLUE (Wang et al. 2018), from the Hub or from a folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.data import readers
from exp.data.base import RawData, Sampled
from exp.data.rows import Rows
from exp.errors import ExpError, nearest

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


# GLUE's own metrics for each task, keys as in evaluate's `glue`; the first is the primary one here.
METRICS = {
    "cola": ("matthews_correlation",),
    "sst2": ("accuracy",),
    "mrpc": ("accuracy", "f1"),  # F1 beside accuracy because two thirds are equivalent
    "stsb": ("pearson", "spearmanr"),
    "qqp": ("accuracy", "f1"),
    "mnli": ("accuracy",),
    "qnli": ("accuracy",),
    "rte": ("accuracy",),
    "wnli": ("accuracy",),
}
MAX_LENGTH = 128  # tokens; run_glue's
LABEL = "label"


@dataclass(frozen=True)
class Glue(Sampled):
    """One task from the Hub (`path` None) or from a folder: GLUE's download or a copy of the Hub's Parquet files, the
    task's own folder or the one above."""

    task: str
    path: str | None

    def __post_init__(self) -> None:
        """Looks at names and sizes of files only."""
        if self.task not in TASKS:
            raise ExpError(f"data.task={self.task}: no GLUE task{nearest(self.task, TASKS)}")
        if self.path is not None and not _hub_files(self.task, Path(self.path).expanduser(), "train"):
            folder = _folder(self._what, Path(self.path).expanduser())
            for name in ("train", *(file for _, file in self._what.dev)):
                readers.require_file(folder / f"{name}.tsv", f"data={self.task} data.path={self.path}")

    def columns(self) -> list[str]:
        return [*self._what.columns, LABEL]

    def read(self) -> RawData:
        if self.path is None:
            splits = _from_hub(self.task, self._what)
        elif _hub_files(self.task, Path(self.path).expanduser(), "train"):
            splits = _from_parquet(self.task, self._what, Path(self.path).expanduser())
        else:
            splits = _from_tsv(self._what, _folder(self._what, Path(self.path).expanduser()))
        train, evals, tests = splits
        return RawData(
            name=self.task,
            train=train,
            evals=evals,
            tests=tests,
            roles=self.roles,
            id_column="idx" if "idx" in train.columns else None,
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    @property
    def roles(self) -> dict[str, Any]:
        what = self._what
        # STS-B's scores go from 0 to 5 (Cer et al. 2017).
        scored = {"score_column": LABEL, "score_range": [0.0, 5.0]} if what.names is None else {}
        return {
            **scored,
            "text_columns": list(what.columns),
            "label_column": LABEL,
            "label_names": None if what.names is None else list(what.names),
            "problem_type": "regression" if what.names is None else "single_label_classification",
            "metrics": list(METRICS[self.task]),
            "max_length": MAX_LENGTH,
        }

    @property
    def _what(self) -> GlueTask:
        return TASKS[self.task]


Splits = tuple[Rows, dict[str, Rows], dict[str, Rows]]


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
    train = _tsv_rows(what, folder / "train.tsv", what.header)
    evals = {suffix: _tsv_rows(what, folder / f"{name}.tsv", what.header) for suffix, name in what.dev}
    tests = {}
    for suffix, name in what.test:
        best = folder / f"{what.labelled_test}.tsv"
        file = best if what.labelled_test and best.exists() else folder / f"{name}.tsv"
        if file.exists():
            tests[suffix] = _tsv_rows(what, file, header=None)
    return train, evals, tests


def _tsv_rows(what: GlueTask, file: Path, header: Sequence[str] | None) -> Rows:
    """With the Hub's names of columns and labels."""
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
    columns = {ours: table.texts(theirs) for ours, theirs in zip(what.columns, what.file_columns, strict=True)}
    if what.file_label in table.columns or file.stem == "train" or file.stem.startswith("dev"):
        columns[LABEL] = _named(table, what.file_label, what.file_names, what.names)
    return Rows(table.path, columns, table.lines)


def _named(table: Rows, column: str, written: Sequence[str] | None, names: Sequence[str] | None) -> list[Any]:
    """Label names in place of what stands in the files; scores stay. A test set has neither."""
    cells = table.column(column)
    if names is None or written is None:
        return cells
    known = dict(zip(written, names, strict=True))
    found = []
    for row, cell in enumerate(cells):
        if str(cell) not in known:
            raise ExpError(
                f"{table.where(row)}: label {cell!r} in column {column!r} is none of {', '.join(written)}"
                f"{nearest(str(cell), written) if len(written) > 12 else ''}"
            )
        found.append(known[str(cell)])
    return found


def _from_parquet(task: str, what: GlueTask, path: Path) -> Splits:
    def split(name: str) -> Rows | None:
        files = _hub_files(task, path, name)
        if not files:
            return None
        parts = [readers.read_parquet(file) for file in files]
        columns = {key: [cell for part in parts for cell in part.column(key)] for key in parts[0].columns}
        return _hub_rows(what, Rows(files[0], columns, list(range(1, sum(map(len, parts)) + 1))))

    found = {name: split(name) for name in ("train", *(name for _, name in (*what.hub_eval, *what.hub_test)))}
    for name in ("train", *(name for _, name in what.hub_eval)):
        if found[name] is None:
            raise ExpError(f"data={task} data.path={path}: there is no file {name}-*.parquet")
    return _arrange(what, found)


def _from_hub(task: str, what: GlueTask) -> Splits:
    from exp.data.hub import load

    loaded = load(HUB_ID, task, None)
    found: dict[str, Rows | None] = {}
    for name, rows in loaded.items():
        numbers = list(range(1, rows.num_rows + 1))
        found[name] = _hub_rows(what, Rows(Path(f"{HUB_ID}/{task}/{name}.parquet"), rows.to_dict(), numbers))
    return _arrange(what, found)


def _arrange(what: GlueTask, found: dict[str, Rows | None]) -> Splits:
    train = found["train"]
    assert train is not None
    evals = {suffix: split for suffix, name in what.hub_eval if (split := found.get(name))}
    tests = {suffix: split for suffix, name in what.hub_test if (split := found.get(name))}
    return train, evals, tests


def _hub_rows(what: GlueTask, table: Rows) -> Rows:
    """Class indices as names; -1, where labels were not published, as no label."""
    columns = {name: table.texts(name) for name in what.columns}
    cells = table.column(LABEL)
    if any(cell is not None and cell >= 0 for cell in cells):
        indices = None if what.names is None else [str(number) for number in range(len(what.names))]
        columns[LABEL] = _named(table, LABEL, indices, what.names)
    columns["idx"] = table.columns.get("idx", list(range(len(table))))
    return Rows(table.path, columns, table.lines)
