"""A model's predictions for a split or a file: as a table, as Parquet and CSV, and in a few words."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from exp.errors import ExpError, nearest
from exp.run.files import user_path
from exp.run.links import check_inside
from exp.saved import finished

if TYPE_CHECKING:
    from exp.data.examples import TaskData
    from exp.data.rows import Rows
    from exp.loop.evaluation import Evaluation
    from exp.saved.finished import Finished, Model


def of_split(run: Finished, model: Model, data: TaskData, name: str) -> Evaluation:
    """Raises ExpError for a split that the data do not have."""
    splits = data.splits()
    if name not in splits:
        raise ExpError(f"data.split={name}: {data.name} has no such split{nearest(name, splits)}")
    return model.evaluate({name: finished.encoded(run, model, data, name)}, tune=name == "eval")[name]


def of_rows(run: Finished, model: Model, rows: Rows, labelled: bool) -> Evaluation:
    """`labelled`: labels are read where the rows have them. Raises ExpError for a cell that does not fit."""
    examples = model.task.examples(rows if labelled else _unlabelled(run, rows), run.facts, labelled=False)
    data = finished.as_data(run, examples, rows.path.stem)
    return model.evaluate({"train": finished.encoded(run, model, data, "train")}, tune=False)["train"]


def _unlabelled(run: Finished, rows: Rows) -> Rows:
    from dataclasses import replace

    return replace(rows, columns={key: rows.column(key) for key in run.facts["inputs"]})


def targets(run: Finished, name: str, given: Mapping[str, str]) -> list[Path]:
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
    print(f"{len(found.table)} examples: {model.evaluator.reading.summary(found.table)}")
    if found.metrics:
        print(", ".join(f"{name} {value:.4f}" for name, value in found.metrics.items()))
    for target in places:
        print(f"wrote {target}")
