"""Your own files: CSV, TSV, JSON lines or Parquet with named columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exp.data import readers
from exp.data.columns import check_columns, names_of, split_of
from exp.data.splits import assemble, carve, check_options, check_share
from exp.errors import ExpError

if TYPE_CHECKING:
    from exp.data.base import RawData


def check(
    path: str | None,
    train_file: str | None,
    validation_file: str | None,
    test_file: str | None,
    validation_share: float,
    split_seed: int,
    task: str,
    text_columns: list[str],
    label_column: str,
    label_names: list[str | int] | None,
    id_column: str | None,
    metrics: list[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
    both_orders: bool,
) -> None:
    """Raise ExpError for options or files that cannot work. Cheap: looks at names and sizes of files only."""
    check_columns(task, text_columns, label_column, label_names)
    check_options(
        text_columns=len(text_columns),
        regression=task == "regression",
        metrics=metrics,
        max_length=max_length,
        max_train_samples=max_train_samples,
        max_eval_samples=max_eval_samples,
        both_orders=both_orders,
    )
    if train_file is None:
        raise ExpError("data=files needs data.train_file, e.g. data.train_file=reviews.csv")
    if validation_file is None:
        check_share(validation_share)
    for key, file in {
        "train_file": train_file,
        "validation_file": validation_file,
        "test_file": test_file,
    }.items():
        if file is not None:
            readers.require_file(_locate(path, file), f"data.{key}")
            readers.require_format(_locate(path, file))


def files(
    path: str | None,
    train_file: str | None,
    validation_file: str | None,
    test_file: str | None,
    validation_share: float,
    split_seed: int,
    task: str,
    text_columns: list[str],
    label_column: str,
    label_names: list[str | int] | None,
    id_column: str | None,
    metrics: list[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
    both_orders: bool,
) -> RawData:
    """`path` is the folder of relative file names (None: the working folder). Without `validation_file` a
    share of the train rows is held out. Raises ExpError, with file and line, for anything that does not fit:
    a missing file or column, bytes that are not UTF-8, a ragged row, a label that training lacks."""
    check(**dict(locals()))
    assert train_file is not None
    table = readers.read(_locate(path, train_file))
    names = names_of(task, label_names, table, label_column)
    train = split_of(table, text_columns, label_column, names, id_column, labelled=True)
    if validation_file is None:
        kept, held_out = carve(None if task == "regression" else train.labels, len(train), validation_share, split_seed)
        train, validation = train.take(kept), train.take(held_out)
    else:
        own = readers.read(_locate(path, validation_file))
        validation = split_of(own, text_columns, label_column, names, id_column, labelled=True)
    tests = {}
    if test_file is not None:
        own = readers.read(_locate(path, test_file))
        tests[""] = split_of(own, text_columns, label_column, names, id_column, labelled=False)
    return assemble(
        name=Path(train_file).stem,
        train=train,
        evals={"": validation},
        tests=tests,
        text_columns=text_columns,
        label_names=names,
        metrics=metrics,
        max_length=max_length,
        max_train_samples=max_train_samples,
        max_eval_samples=max_eval_samples,
        both_orders=both_orders,
    )


def _locate(path: str | None, file: str) -> Path:
    return (Path(path or "") / Path(file).expanduser()).expanduser()
