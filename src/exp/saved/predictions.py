"""A model's predictions for a split or a file: as a table, as Parquet and CSV, and in a few words."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from exp.errors import ExpError, nearest
from exp.metrics.key import Key
from exp.run.files import user_path
from exp.run.links import check_inside
from exp.run.said import counted
from exp.saved import finished, metrics

if TYPE_CHECKING:
    from exp.data.examples import Examples, TaskData
    from exp.data.rows import Rows
    from exp.loop.evaluation import Evaluation
    from exp.saved.finished import Finished, Model


def of_split(run: Finished, model: Model, data: TaskData, name: str) -> Evaluation:
    """Raises ExpError for a split that the data do not have."""
    splits = data.splits()
    if name not in splits:
        raise ExpError(f"data.split={name}: {data.name} has no such split{nearest(name, splits)}")
    return model.evaluate({name: finished.encoded(run, model, data, name)}, tune=name == "eval")[name]


def of_examples(run: Finished, model: Model, examples: Examples, name: str) -> Evaluation:
    data = finished.as_data(run, examples, name)
    return model.evaluate({"train": finished.encoded(run, model, data, "train")}, tune=False)["train"]


def rows_of_file(run: Finished, path: Path) -> Rows:
    """Read as the run's own files where it is of their kind; else by its ending.

    Raises ExpError for a file that cannot be read, and for one without the columns that the model reads.
    """
    rows = _read(run, path)
    wanted = run.facts["inputs"]
    missing = [column for column in wanted if column not in rows]
    if missing:
        hints = "".join(nearest(column, rows.columns) for column in missing[:1])
        raise ExpError(
            f"{path} has no column {', '.join(map(repr, missing))}; the model reads "
            f"{' and '.join(wanted)}, the file has {', '.join(rows.columns)}{hints}"
        )
    return rows


def _read(run: Finished, path: Path) -> Rows:
    from exp.data import readers
    from exp.data.read_options import ReadOptions, ending

    node = run.config["data"]
    opened = getattr(finished.task_of(run), "opened", None)  # a task whose inputs are files: a folder, or one of them
    if opened is not None and path.exists() and (rows := opened(path, run.facts["inputs"])) is not None:
        return rows
    readers.require_file(path, "file")
    train = node.get("train_file") or ""
    own = ending(train if isinstance(train, str) else train[0])
    if own == ending(path.name) and (own or node.get("format")):
        return readers.read(path, ReadOptions(**{name: node.get(name) for name in ReadOptions.__dataclass_fields__}))
    if path.suffix == ".txt":  # a row a line, of the only column there is
        return readers.read(path, ReadOptions(format="text", names=list(run.facts["inputs"][:1])))
    # Other data options have files of their own, in which a quote is a character like every other.
    return readers.read_tsv(path) if path.suffix == ".tsv" else readers.read(path)


def examples_of(run: Finished, rows: Rows, labels: Literal["needed", "read", "ignore"]) -> Examples:
    """Examples of another file, before a model is loaded.

    Args:
        run: whose task reads them.
        rows: with the run's input columns.
        labels: "read": where the rows have them; "needed": every row has one; "ignore": nobody looks at them.

    Raises:
        ExpError: a cell that does not fit.
    """
    task = finished.task_of(run)
    if labels == "needed":
        return task.examples(rows, run.facts, labelled=True)
    if labels == "ignore":
        rows = replace(rows, columns={key: rows.column(key) for key in run.facts["inputs"]})
    try:
        return task.examples(rows, run.facts, labelled=False)
    except ExpError as error:
        if labels == "ignore" or not _fits_unlabelled(run, rows):
            raise
        raise ExpError(f"{error}; labels=ignore leaves the labels aside") from None


def _fits_unlabelled(run: Finished, rows: Rows) -> bool:
    try:
        examples_of(run, rows, "ignore")
    except ExpError:
        return False
    return True


def targets(run: Finished, name: str, given: Mapping[str, Any]) -> list[Path]:
    """Raises ExpError where out= would overwrite a file."""
    if "out" not in given:
        if run.predictions.is_symlink():
            check_inside(run.folder)
        return [run.predictions / f"{name}.parquet", run.predictions / f"{name}.csv"]
    out = user_path(given["out"])
    if out.name in ("", "..") or out.is_dir():
        raise ExpError(f"out={given['out']} is a folder; name a file in it, e.g. {out / name}.parquet")
    if out.suffix and out.suffix not in (".parquet", ".csv"):
        raise ExpError(f"out={out}: no such ending as {out.suffix}; known: .parquet, .csv, or none for both")
    both = [out.with_name(f"{out.name}{ending}") for ending in (".parquet", ".csv")]
    chosen = [out] if out.suffix in (".parquet", ".csv") else both
    for target in chosen:
        if target.exists():
            raise ExpError(f"out={target} exists already and is not overwritten; remove it or choose another name")
    return chosen


def check_kept(run: Finished, data: TaskData, name: str, places: list[Path]) -> None:
    """Raises ExpError where predictions of other rows would replace those that the run's numbers were made of."""
    kept = [place for place in places if place.exists()]
    measured = {Key.of(key).split for key in metrics.recorded(run)}
    if kept and name in measured and data.fingerprint != run.facts["fingerprint"]:
        raise ExpError(
            f"the run's numbers were made of {kept[0]}, and these are other rows; say where their predictions go, "
            f"out=new.csv"
        )


def write(found: Evaluation, model: Model, places: list[Path]) -> None:
    import pyarrow.parquet as pq

    for target in places:
        scratch = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix == ".parquet":
                pq.write_table(found.table, scratch)
            else:
                header, rows = model.evaluator.reading.flat(found.table)
                with scratch.open("w", encoding="utf-8", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows([header, *rows])
            scratch.replace(target)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise ExpError(f"cannot write {target}: {error.strerror or error}") from error


def tell(found: Evaluation, model: Model, places: list[Path]) -> None:
    print(f"{counted(len(found.table), 'example')}: {model.evaluator.reading.summary(found.table)}")
    if found.metrics:
        print(", ".join(f"{name} {value:.4f}" for name, value in found.metrics.items()))
    for target in places:
        print(f"wrote {target}")
