"""python -m exp.predict run=outputs/2026-11-20/12-00-00 data.split=test

What a finished run's model says of the run's own splits, of a file, or of what you type:

  python -m exp.predict run=RUN data.split=test            train, eval or test; MNLI also has eval_mm and test_mm
  python -m exp.predict run=RUN file=new.csv               .csv, .tsv, .jsonl or .parquet with the run's input columns
  python -m exp.predict run=RUN file=photos                a folder of images or recordings, or one of them
  python -m exp.predict run=RUN                            asks for one text after another (on a terminal)
  python -m exp.predict run=A,B,... glue_zip=glue.zip      a submission to GLUE's test server

Labels and scores go to predictions/<name>.parquet and .csv in the run folder, or where out= says.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from exp.config import arguments
from exp.errors import ExpError, nearest
from exp.run.exits import plain_exits
from exp.saved import finished, predictions

if TYPE_CHECKING:
    from exp.data.rows import Rows
    from exp.saved.finished import Finished, Model

KEYS = {
    "run": "the run folder; several with commas between them for glue_zip",
    "data.split": "train, eval or test, with a suffix where a data set has several (test_mm)",
    "file": "a file to predict; a column with labels is used to measure. Of images and sound also a folder",
    "labels": "ignore: the file's label column is left aside, where it holds something else",
    "out": "where to write, instead of predictions/ in the run folder: NAME.parquet, NAME.csv, or NAME for both",
    "glue_zip": "write a whole submission to GLUE's test server into this zip",
    "fill": "true: a constant answer for every task of glue_zip that no run is given for",
    "ax": "GLUE's diagnostic.tsv, answered by the MNLI run; found by itself beside the MNLI data",
    "data.path": "where the run's data lies now, if it was moved",
    "data.test_file": "the same for data=files; also data.train_file, data.validation_file",
    "data.train_file": "see data.test_file",
    "data.validation_file": "see data.test_file",
    "data.max_eval_samples": "null: the whole split, where the run took a sample of it",
}
KINDS = ("train", "eval", "test")


def predict(given: Mapping[str, str]) -> None:
    """Raises ExpError for bad input, before anything is written."""
    if "run" not in given:
        raise ExpError("run is not given: add run=<run folder>")
    tasks = [key for key in ("data.split", "file", "glue_zip") if key in given]
    if len(tasks) > 1:
        raise ExpError(f"{' and '.join(tasks)} are both given; keep one")
    runs = [finished.find(path) for path in _paths(given["run"])]
    if "glue_zip" in given:
        from exp.saved.glue_submission import submit

        submit(runs, given)
        return
    for key in ("fill", "ax"):
        if key in given:
            raise ExpError(f"{key}={given[key]} belongs to glue_zip=<file>.zip, which is not given")
    if len(runs) > 1:
        raise ExpError("several runs make one submission (glue_zip=...); predict with one at a time otherwise")
    if "data.split" in given:
        predict_split(runs[0], given)
    elif "file" in given:
        predict_file(runs[0], given)
    elif sys.stdin.isatty():
        converse(runs[0], finished.load_model(runs[0]))
    else:
        raise ExpError("nothing to predict: add data.split=test or file=<file>; on a terminal it asks for texts")


def _paths(text: str) -> list[str]:
    return [text] if Path(text).exists() else [part for part in text.split(",") if part]


# ---- the run's own splits ----


def predict_split(run: Finished, given: Mapping[str, str]) -> None:
    name = given["data.split"]
    if name.split("_")[0] not in KINDS:
        raise ExpError(f"data.split={name}: no such split{nearest(name, KINDS)}")
    moved = finished.checked_moves(run, given)
    targets = predictions.targets(run, name, given)
    data, model = finished.load_data(run, moved), finished.load_model(run)
    found = predictions.of_split(run, model, data, name)
    predictions.write(found, model, targets)
    predictions.tell(found, model, targets)
    if name.startswith("test"):
        from exp.saved.glue_submission import write_beside

        write_beside(run, found.table, name)


# ---- a file ----


def predict_file(run: Finished, given: Mapping[str, str]) -> None:
    path = Path(given["file"]).expanduser()
    rows = _opened(run, path) or _rows(run, path)
    wanted = run.facts["inputs"]
    missing = [column for column in wanted if column not in rows]
    if missing:
        hints = "".join(nearest(column, rows.columns) for column in missing[:1])
        raise ExpError(
            f"{path} has no column {', '.join(map(repr, missing))}; the model reads "
            f"{' and '.join(wanted)}, the file has {', '.join(rows.columns)}{hints}"
        )
    labels = given.get("labels", "read")
    if labels not in ("read", "ignore"):
        raise ExpError(f"labels={labels}: no such choice{nearest(labels, ('read', 'ignore'))}")
    targets = predictions.targets(run, f"file_{path.stem}", given)
    model = finished.load_model(run)
    found = predictions.of_rows(run, model, rows, labelled=labels == "read")
    predictions.write(found, model, targets)
    predictions.tell(found, model, targets)


def _opened(run: Finished, path: Path) -> Rows | None:
    """A folder of files, or one, where the run's task reads those."""
    opened = getattr(finished.task_of(run), "opened", None)
    return opened(path, run.facts["inputs"]) if opened is not None and path.exists() else None


def _rows(run: Finished, path: Path) -> Rows:
    """As the run's own files where it is of their kind; else by its ending."""
    from exp.data import readers
    from exp.data.read_options import ReadOptions

    node = run.config["data"]
    readers.require_file(path, "file")
    if path.suffix == ".txt":  # a row a line, of the only column there is
        return readers.read(path, ReadOptions(format="text", names=list(run.facts["inputs"][:1])))
    own = str(node.get("train_file") or "").removesuffix(".gz").rpartition(".")[2]
    if own and own == path.name.removesuffix(".gz").rpartition(".")[2]:
        return readers.read(path, ReadOptions(**{name: node.get(name) for name in ReadOptions.__dataclass_fields__}))
    # Other data options have files of their own, in which a quote is a character like every other.
    return readers.read_tsv(path) if path.suffix == ".tsv" else readers.read(path)


# ---- what is typed ----


def converse(run: Finished, model: Model, ask: Callable[[str], str] = input) -> None:
    """Prints the prediction for one example after another, until the input ends. `ask` takes a prompt."""
    columns = run.facts["inputs"]
    print(f"{run.folder.name}: {' and '.join(columns)}; Ctrl-D ends")
    while True:
        texts: list[str] = []
        try:
            while len(texts) < len(columns):
                text = ask(f"{columns[len(texts)]}> ").strip()
                if text:
                    texts.append(text)
        except EOFError:
            print()
            return
        found = predictions.of_rows(run, model, model.task.typed(texts, columns), labelled=False)
        print(model.evaluator.reading.said(found.table.to_pylist()[0]))


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    with plain_exits():
        predict(arguments.parse(sys.argv[1:], KEYS, __doc__ or ""))


if __name__ == "__main__":
    main()
