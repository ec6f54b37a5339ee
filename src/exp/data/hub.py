"""Any data set of the Hugging Face Hub, or a local folder that `datasets.load_dataset` understands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.data.columns import check_columns, names_of, split_of
from exp.data.rows import Rows
from exp.data.splits import assemble, carve, check_options, check_share
from exp.errors import ExpError, nearest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from exp.data.base import RawData


def check(
    path: str | None,
    name: str | None,
    revision: str | None,
    train_split: str,
    validation_split: str | None,
    test_split: str | None,
    validation_share: float,
    split_seed: int,
    task: str,
    text_columns: list[str],
    label_column: str,
    label_names: list[str | int] | None,
    metrics: list[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
    both_orders: bool,
) -> None:
    """Raise ExpError for options that cannot work. Cheap, and asks nobody."""
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
    if path is None:
        raise ExpError("data=hub needs data.path: a data set's id, e.g. data.path=stanfordnlp/imdb, or a folder")
    if path.startswith((".", "/", "~")) and not Path(path).expanduser().is_dir():
        raise ExpError(f"data.path={path}: there is no such folder")
    if validation_split is None:
        check_share(validation_share)


def hub(
    path: str | None,
    name: str | None,
    revision: str | None,
    train_split: str,
    validation_split: str | None,
    test_split: str | None,
    validation_share: float,
    split_seed: int,
    task: str,
    text_columns: list[str],
    label_column: str,
    label_names: list[str | int] | None,
    metrics: list[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
    both_orders: bool,
) -> RawData:
    """Label names are the data set's own where its label column has them, else as in `data=files`. Raises
    ExpError for bad options, an unknown data set, split or column, and a Hub that is out of reach."""
    check(**dict(locals()))
    assert path is not None
    if Path(path).expanduser().is_dir():
        path = str(Path(path).expanduser())
    loaded = load(path, name, revision)
    keys = {"train": train_split, "validation": validation_split, "test": test_split}
    tables = {role: table(loaded, path, key, label_column) for role, key in keys.items() if key is not None}
    names = names_of(task, label_names or _own_names(loaded[train_split], label_column), tables["train"], label_column)
    splits = {
        role: split_of(rows, text_columns, label_column, names, id_column=None, labelled=role != "test")
        for role, rows in tables.items()
    }
    train = splits["train"]
    if validation_split is None:
        kept, held_out = carve(None if task == "regression" else train.labels, len(train), validation_share, split_seed)
        splits["train"], splits["validation"] = train.take(kept), train.take(held_out)
    return assemble(
        name=path if name is None else f"{path}/{name}",
        train=splits["train"],
        evals={"": splits["validation"]},
        tests={"": splits["test"]} if "test" in splits else {},
        text_columns=text_columns,
        label_names=names,
        metrics=metrics,
        max_length=max_length,
        max_train_samples=max_train_samples,
        max_eval_samples=max_eval_samples,
        both_orders=both_orders,
    )


def load(path: str, name: str | None, revision: str | None) -> DatasetDict:
    """`datasets.load_dataset`, its many ways to fail said in the user's words as ExpError."""
    from datasets import DatasetDict, load_dataset
    from datasets.exceptions import DatasetNotFoundError

    what = path if name is None else f"{path} ({name})"
    try:
        loaded = load_dataset(path, name, revision=revision)
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
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        # An unknown configuration, a revision that is not there, a folder without data files.
        raise ExpError(f"{what}: {_first_line(error)}") from error
    if not isinstance(loaded, DatasetDict):
        raise ExpError(f"{what}: the data set has no named splits")
    return loaded


def table(loaded: DatasetDict, path: str, split: str, label_column: str) -> Rows:
    """A split as columns of Python values, class indices turned to their names, -1 to None."""
    if split not in loaded:
        raise ExpError(f"{path} has no split {split!r}{nearest(split, loaded)}")
    columns: dict[str, list[Any]] = loaded[split].to_dict()
    names = _own_names(loaded[split], label_column)
    if names is not None:
        columns[label_column] = [None if cell is None or cell < 0 else names[cell] for cell in columns[label_column]]
    return Rows(Path(f"{path}/{split}.parquet"), columns, list(range(1, loaded[split].num_rows + 1)))


def _own_names(split: Dataset, label_column: str) -> list[str] | None:
    from datasets import ClassLabel

    feature = split.features.get(label_column)
    return list(feature.names) if isinstance(feature, ClassLabel) else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
