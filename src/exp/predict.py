"""exp predict RUN: what a finished run's model says of the run's own splits, of a file, or of what you type.

  exp predict RUN data.split=test         train, eval or test; MNLI also has eval_mm and test_mm
  exp predict RUN file=new.csv            .csv, .tsv, .jsonl, .parquet with the text columns; .txt with a text a line
  exp predict RUN file=photos             a folder of images or recordings, or one of them
  exp predict RUN text="a fine soup"      once for each text column
  echo "a fine soup" | exp predict RUN    a text a line; where the model reads two texts, a tab between them
  exp predict RUN                         asks for one text after another (on a terminal)
  exp predict A B ... data.split=test out=new.csv   several runs together: the mean of their probabilities
  exp predict A B ... glue_zip=glue.zip   a submission to GLUE's test server

Of splits and files, labels and scores go to predictions/<name>.parquet and .csv in the run folder, or where out= says.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError, nearest
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits
from exp.run.said import counted
from exp.saved import finished, predictions

if TYPE_CHECKING:
    from exp.saved.finished import Finished, Model

GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="RUN",
    least=1,
    key="run",
    options={
        "data.split": Option("train, eval or test, with a suffix where a data set has several (test_mm)"),
        "file": Option("a file to predict; a column with labels is used to measure. Of images and sound also a folder"),
        "text": Option("a text to predict; once for each text column", many=True),
        "labels": Option(
            "ignore: the file's label column is left aside, where it holds something else",
            arguments.one_of("read", "ignore"),
            "read",
        ),
        "out": Option(
            "where to write, instead of predictions/: NAME.parquet, NAME.csv, or NAME for both", arguments.file
        ),
        "glue_zip": Option("write a whole submission to GLUE's test server into this zip"),
        "fill": Option(
            "true: a constant answer for every task of glue_zip that no run is given for", arguments.switch, False
        ),
        "ax": Option("GLUE's diagnostic.tsv, answered by the MNLI run; found by itself beside the MNLI data"),
        "data.": finished.MOVED,
    },
)
ASKED = ("data.split", "file", "text", "glue_zip")
KINDS = ("train", "eval", "test")


def predict(places: Sequence[str], given: Mapping[str, Any]) -> None:
    """Raises ExpError for bad input, before anything is written."""
    tasks = [key for key in ASKED if key in given]
    if len(tasks) > 1:
        raise ExpError(f"{' and '.join(tasks)} are both given; keep one")
    runs = [finished.find(path) for path in places]
    if "glue_zip" in given:
        from exp.saved.glue_submission import submit

        submit(runs, given)
        return
    for key in ("fill", "ax"):
        if key in given:
            raise ExpError(f"{key}={given[key]} belongs to glue_zip=<file>.zip, which is not given")
    run = runs[0]
    if len(runs) > 1:
        check_together(runs, given)
    if "data.split" in given:
        predict_split(runs, given)
        return
    finished.checked_moves(run, given)
    if "file" in given:
        predict_file(runs, given)
    elif "text" in given:
        predict_texts(run, given["text"])
    elif sys.stdin.isatty():
        converse(run, finished.load_model(run))
    else:
        predict_lines(run, sys.stdin)


# ---- the run's own splits ----


def check_together(runs: Sequence[Finished], given: Mapping[str, Any]) -> None:
    """Raises ExpError where several runs cannot answer as an ensemble, or where its answers would go is not said."""
    from exp.saved.members import check_members

    check_members(runs)
    if not {"data.split", "file"} & set(given):
        raise ExpError("several runs predict a split or a file together: add data.split=test or file=new.csv")
    if "out" not in given:
        raise ExpError("several runs have no folder of their own: say where their predictions go, out=ensemble.parquet")


def model_of(runs: Sequence[Finished]) -> Model:
    """One run's model, or several as an ensemble."""
    if len(runs) == 1:
        return finished.load_model(runs[0])
    from exp.saved.ensemble import load_ensemble

    return load_ensemble(runs)


def predict_split(runs: Sequence[Finished], given: Mapping[str, Any]) -> None:
    run = runs[0]
    name = given["data.split"]
    if name.split("_")[0] not in KINDS:
        raise ExpError(f"data.split={name}: no such split{nearest(name, KINDS)}")
    moved = finished.checked_moves(run, given)
    targets = predictions.targets(run, name, given)
    data = finished.load_data(run, moved)
    predictions.check_kept(run, data, name, targets)
    model = model_of(runs)
    found = predictions.of_split(run, model, data, name)
    predictions.write(found, model, targets)
    predictions.tell(found, model, targets)
    if name.startswith("test") and len(runs) == 1:
        from exp.saved.glue_submission import write_beside

        write_beside(run, found.table, name)


# ---- a file ----


def predict_file(runs: Sequence[Finished], given: Mapping[str, Any]) -> None:
    run = runs[0]
    path = Path(given["file"]).expanduser()
    rows = predictions.rows_of_file(run, path)
    examples = predictions.examples_of(run, rows, given.get("labels", "read"))
    targets = predictions.targets(run, f"file_{path.stem}", given)
    model = model_of(runs)
    found = predictions.of_examples(run, model, examples, path.stem)
    predictions.write(found, model, targets)
    predictions.tell(found, model, targets)


# ---- what is typed ----


def predict_texts(run: Finished, texts: Sequence[str]) -> None:
    columns = run.facts["inputs"]
    if len(texts) % len(columns):
        raise ExpError(
            f"text= is given {counted(len(texts), 'time')}; the model reads {' and '.join(columns)}: give one for each"
        )
    _say_each(run, [texts[at : at + len(columns)] for at in range(0, len(texts), len(columns))])


def predict_lines(run: Finished, lines: Iterable[str]) -> None:
    """One example a line, its texts with tabs between them; empty lines are left out."""
    columns = run.facts["inputs"]
    examples = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        texts = [line.strip()] if len(columns) == 1 else [text.strip() for text in line.split("\t")]
        if len(texts) != len(columns):
            raise ExpError(
                f"standard input, line {number}: {counted(len(texts), 'text')} where the model reads "
                f"{' and '.join(columns)}; put a tab between them"
            )
        examples.append(texts)
    if not examples:
        raise ExpError(
            "nothing to predict: add data.split=test, file=<file> or text=...; on a terminal it asks for texts"
        )
    _say_each(run, examples)


def _say_each(run: Finished, examples: Sequence[Sequence[str]]) -> None:
    """One line an example, in their order."""
    model = finished.load_model(run)
    for texts in examples:
        print(_said(run, model, texts), flush=True)


def _said(run: Finished, model: Model, texts: Sequence[str]) -> str:
    rows = model.task.typed(texts, run.facts["inputs"])
    found = predictions.of_examples(run, model, predictions.examples_of(run, rows, "ignore"), "typed")
    return model.evaluator.reading.said(found.table.to_pylist()[0])


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
        print(_said(run, model, texts))


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    with plain_exits():
        given = arguments.parse(sys.argv[1:], GRAMMAR)
        predict(given.bare, given)


if __name__ == "__main__":
    main()
