"""A model's answers to a split or a file: as a table, as Parquet and CSV, and in a few words."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from exp.errors import ExpError, nearest
from exp.run.files import user_path
from exp.saved import finished

if TYPE_CHECKING:
    from pyarrow import Table as Predictions

    from exp.data.base import RawData
    from exp.data.readers import Table
    from exp.loop.evaluation import Evaluation
    from exp.saved.finished import Finished, Model


def table_of_split(run: Finished, model: Model, data: RawData, name: str) -> tuple[Predictions, Evaluation]:
    from exp.loop.outputs import prediction_table

    splits = {"train": data.train}
    splits |= {f"eval_{suffix}" if suffix else "eval": split for suffix, split in data.evals.items()}
    splits |= {f"test_{suffix}" if suffix else "test": split for suffix, split in data.tests.items()}
    if name not in splits:
        raise ExpError(f"data.split={name}: {data.name} has no such split{nearest(name, splits)}")
    tokens = finished.encode_split(run, model, data, splits[name], name, user_path(run.config["cache_dir"]))
    found = model.evaluate(tokens)
    return prediction_table(tokens, found, data.label_names), found


def as_data(run: Finished, table: Table) -> RawData:
    """The rows of a file as if they were the run's data. Raises ExpError for a cell that is no text or no label."""
    from exp.data.columns import split_of
    from exp.data.splits import assemble

    node, facts = run.config["data"], run.facts
    label_column, id_column = node.get("label_column") or "label", node.get("id_column")
    rows = split_of(
        table,
        facts["text_columns"],
        label_column,
        facts["label_names"],
        id_column if id_column in table.columns else None,
        labelled=False,
    )
    return assemble(
        name=table.path.stem,
        train=rows,
        evals={},
        tests={},
        text_columns=facts["text_columns"],
        label_names=facts["label_names"],
        metrics=facts["metrics"],
        max_length=node["max_length"],
        max_train_samples=None,
        max_eval_samples=None,
        both_orders=False,
    )


def targets(run: Finished, name: str, given: Mapping[str, str]) -> list[Path]:
    """Raises ExpError where out= would overwrite a file."""
    if "out" not in given:
        return [run.predictions / f"{name}.parquet", run.predictions / f"{name}.csv"]
    out = Path(given["out"]).expanduser()
    if out.suffix and out.suffix not in (".parquet", ".csv"):
        raise ExpError(f"out={out}: no such ending as {out.suffix}; known: .parquet, .csv, or none for both")
    both = [out.with_name(f"{out.name}{ending}") for ending in (".parquet", ".csv")]
    chosen = [out] if out.suffix in (".parquet", ".csv") else both
    for target in chosen:
        if target.exists():
            raise ExpError(f"out={target} exists already and is not overwritten; remove it or choose another name")
    return chosen


def write(table: Predictions, places: list[Path], run: Finished) -> None:
    import pyarrow.parquet as pq

    for target in places:
        scratch = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix == ".parquet":
                pq.write_table(table, scratch)
            else:
                _write_csv(table, scratch, run.facts["label_names"])
            scratch.replace(target)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise ExpError(f"cannot write {target}: {error.strerror or error}") from error


def _write_csv(table: Predictions, path: Path, names: list[str] | None) -> None:
    """The same rows; scores get a column a label, because CSV has no lists."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "label", "prediction", *(f"score_{name}" for name in names or ())])
        for row in table.to_pylist():
            label = "" if row["label"] is None else row["label"]
            writer.writerow([row["id"], label, row["prediction"], *row["scores"]])


def tell(table: Predictions, found: Evaluation, places: list[Path]) -> None:
    predictions = table["prediction"].to_pylist()
    if predictions and isinstance(predictions[0], str):
        counted = ", ".join(f"{count} {name}" for name, count in Counter(predictions).most_common())
    else:
        counted = f"mean {sum(predictions) / len(predictions):.4f}"
    print(f"{len(predictions)} examples: {counted}")
    if found.metrics:
        print(", ".join(f"{name} {value:.4f}" for name, value in found.metrics.items()))
    for target in places:
        print(f"wrote {target}")
