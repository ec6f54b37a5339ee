"""Files for GLUE's test server: one TSV a task, eleven of them in a zip, in the server's own names and words.

Formats as in the sample submission of gluebenchmark.com: a header `index<TAB>prediction`, rows numbered from 0 in the
order of the test file; the task's own labels as they stand in GLUE's files (so QNLI, RTE, MNLI and AX in words, the
others as 0 and 1); STS-B's score with three decimals, between 0 and 5.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.data import readers
from exp.data.glue import TASKS
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.saved import finished, predictions

if TYPE_CHECKING:
    from pyarrow import Table as Predictions

    from exp.saved.finished import Finished

LOWEST, HIGHEST = 0.0, 5.0  # of STS-B
MIDNIGHT = (1980, 1, 1, 0, 0, 0)  # the first that a zip can say: equal predictions give equal bytes


@dataclass(frozen=True)
class File:
    """`set` is the name of the test set that an MNLI run has several of; `rows` as in GLUE's test file."""

    name: str
    task: str
    set: str
    rows: int


FILES = (
    File("CoLA.tsv", "cola", "test", 1063),
    File("SST-2.tsv", "sst2", "test", 1821),
    File("MRPC.tsv", "mrpc", "test", 1725),
    File("STS-B.tsv", "stsb", "test", 1379),
    File("QQP.tsv", "qqp", "test", 390965),
    File("MNLI-m.tsv", "mnli", "test", 9796),
    File("MNLI-mm.tsv", "mnli", "test_mm", 9847),
    File("QNLI.tsv", "qnli", "test", 5463),
    File("RTE.tsv", "rte", "test", 3000),
    File("WNLI.tsv", "wnli", "test", 146),
    File("AX.tsv", "mnli", "ax", 1104),  # GLUE's diagnostic set, answered by the MNLI model
)


def files_of(task: str) -> list[File]:
    return [file for file in FILES if file.task == task]


def tsv(file: File, predictions: Sequence[str] | Sequence[float]) -> str:
    """`predictions` are label names, or scores for STS-B, in the order of the test file.

    Raises ExpError for another number of rows than the server expects.
    """
    if len(predictions) != file.rows:
        raise ExpError(f"{file.name} needs {file.rows} rows, all of GLUE's test file, and there are {len(predictions)}")
    names, written = TASKS[file.task].names, TASKS[file.task].file_names
    if names is None or written is None:
        return _rows(f"{min(max(float(score), LOWEST), HIGHEST):.3f}" for score in predictions)
    word = dict(zip(names, written, strict=True))
    return _rows(word[str(label)] for label in predictions)


def constant(file: File) -> tuple[str, str]:
    """A file that answers the same everywhere (the task's first label, or 0.000), and that answer."""
    written = TASKS[file.task].file_names
    word = "0.000" if written is None else written[0]
    return _rows([word] * file.rows), word


def missing(tasks: Iterable[str], with_ax: bool) -> list[File]:
    """What runs of `tasks` leave out of a whole submission."""
    there = set(tasks)
    return [file for file in FILES if file.task not in there or (file.set == "ax" and not with_ax)]


def write_zip(path: Path, members: Mapping[str, Any]) -> None:
    """The zip appears whole or not at all. Raises ExpError where `path` exists or a file is missing."""
    if lacking := [file.name for file in FILES if file.name not in members]:
        raise ExpError(f"a submission to GLUE has {len(FILES)} files, and {', '.join(lacking)} are missing")
    if path.exists():
        raise ExpError(f"glue_zip={path} exists already and is not overwritten; remove it or choose another name")
    scratch = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in FILES:
                archive.writestr(zipfile.ZipInfo(file.name, MIDNIGHT), members[file.name], zipfile.ZIP_DEFLATED)
        scratch.replace(path)
    except OSError as error:
        raise ExpError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        scratch.unlink(missing_ok=True)


def submit(runs: list[Finished], given: Mapping[str, Any]) -> None:
    path = Path(given["glue_zip"]).expanduser()
    if path.exists():
        raise ExpError(f"glue_zip={path} exists already and is not overwritten; remove it or choose another name")
    by_task: dict[str, Finished] = {}
    for run in runs:
        task = glue_task(run)
        if task is None:
            raise ExpError(f"{run.folder} was trained on {run.facts['name']}, which is no task of GLUE")
        if task in by_task:
            raise ExpError(f"two runs of {task}: {by_task[task].folder} and {run.folder}; a submission holds one")
        by_task[task] = run
    diagnostic = _diagnostic(by_task, given)
    lacking = missing(by_task, with_ax=diagnostic is not None)
    if lacking and not given.get("fill"):
        raise ExpError(
            f"a submission to GLUE has {len(FILES)} files; missing: "
            f"{', '.join(file.name for file in lacking)}. Give runs of these too (A B C){_ax_hint(lacking)}, "
            "or fill=true for a constant answer in each"
        )
    members: dict[str, str] = {}
    for task, run in by_task.items():
        moved = {**finished.checked_moves(run, given), "max_eval_samples": None}  # the server wants every row
        data, model = finished.load_data(run, moved), finished.load_model(run)
        for file in files_of(task):
            if file.set != "ax":
                table = predictions.of_split(run, model, data, file.set).table
            elif diagnostic is not None:
                examples = predictions.examples_of(run, diagnostic, "ignore")
                table = predictions.of_examples(run, model, examples, "ax").table
            else:
                continue
            members[file.name] = tsv(file, table["prediction"].to_pylist())
            print(f"{file.name:<12} {run.folder}")
    for file in lacking:
        members[file.name], word = constant(file)
        print(f"{file.name:<12} filled: {word} in every row")
    write_zip(path, members)
    print(f"wrote {path}")


def glue_task(run: Finished) -> str | None:
    node = run.config["data"]
    return node["task"] if node["_target_"] == "exp.data.glue.Glue" else None


def _diagnostic(by_task: Mapping[str, Finished], given: Mapping[str, Any]) -> Rows | None:
    """GLUE's diagnostic set with MNLI's column names; None where there is no MNLI run or no file."""
    if "ax" in given:
        file = Path(given["ax"]).expanduser()
        if "mnli" not in by_task:
            raise ExpError(f"ax={file} is answered by the MNLI model, and no run of mnli is given")
        readers.require_file(file, "ax")
    else:
        folder = Path(by_task["mnli"].config["data"]["path"] or "") if "mnli" in by_task else Path()
        near = [folder / "diagnostic" / "diagnostic.tsv", folder.parent / "diagnostic" / "diagnostic.tsv"]
        found = [file for file in near if "mnli" in by_task and file.is_file()]
        if not found:
            return None
        file = found[0]
    table = readers.read_tsv(file)  # GLUE quotes nothing
    theirs = {"sentence1": "premise", "sentence2": "hypothesis"}
    columns = {theirs.get(name, name): cells for name, cells in table.columns.items() if name != "label"}
    return Rows(table.path, columns, table.lines)


def _ax_hint(lacking: list[File]) -> str:
    return ", AX.tsv's sentences as ax=diagnostic.tsv" if any(file.set == "ax" for file in lacking) else ""


def write_beside(run: Finished, table: Predictions, name: str) -> None:
    """Beside the predictions, in the form that GLUE's server takes; a sample of the test set makes none."""
    for file in files_of(glue_task(run) or ""):
        if file.set == name:
            if len(table) != file.rows:
                print(f"no {file.name}: GLUE wants {file.rows} rows; add data.max_eval_samples=null")
                continue
            run.predictions.mkdir(exist_ok=True)
            target = run.predictions / file.name
            target.write_text(tsv(file, table["prediction"].to_pylist()), encoding="utf-8")
            print(f"wrote {target}")


def _rows(words: Iterable[str]) -> str:
    return "index\tprediction\n" + "".join(f"{row}\t{word}\n" for row, word in enumerate(words))
