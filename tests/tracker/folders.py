"""A run folder as a training leaves it, and what stands in an offline W&B run."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from exp.run.folder import Run, create
from exp.run.result import Result, write_result

TEXT = {
    "_target_": "exp.task.text_classification.TextClassification",
    **dict.fromkeys(("text_columns", "label_column", "label_names", "no_label", "problem_type", "metrics"), None),
    "max_length": None,
    "both_orders": False,
}
CONFIG = {"seed": 7, "model": {"path": "x", "dropout": None}, "optimizer": {"lr": 1e-4, "betas": [0.9, 0.999]}}


def new_run(folder: Path, group: str | None = None, config: dict[str, Any] = CONFIG) -> Run:
    """Without a task, as runs of the first version; with_task() adds one."""
    folder.mkdir(parents=True)
    return create(folder, config, group)


def with_task(**changes: Any) -> dict[str, Any]:
    return {**CONFIG, "task": {**TEXT, **changes}}


def leave_results(run: Run, status: str = "completed") -> None:
    """Best accuracy 0.75 at step 20; predictions of a classification: `eval`, and `test` without labels."""
    best = {"eval/accuracy": {"value": 0.75, "step": 20}, "eval_mm/accuracy": {"value": 0.5, "step": 10}}
    objective = {"name": "eval/accuracy", "value": 0.75, "step": 20}
    write_result(run.result_path, Result(status, objective, best, {}, {"train_seconds": 1.5, "kwh": None}))
    run.update(data={"name": "toy", "label_names": ["no", "yes"], "metrics": ["accuracy"]})
    run.predictions.mkdir(exist_ok=True)
    write_predictions(run, "eval", ["yes", "no", "yes", "no"], ["yes", "yes", "yes", "no"])
    write_predictions(run, "test", [None, None], ["yes", "no"])
    run.finish(status)


def write_predictions(run: Run, name: str, labels: list[Any], predictions: list[Any]) -> None:
    ids, scores = [str(index) for index in range(len(labels))], [[0.5, 0.5]] * len(labels)
    table = pa.table({"id": ids, "label": labels, "prediction": predictions, "scores": scores})
    pq.write_table(table, run.predictions / f"{name}.parquet")


def wandb_folders(run: Run) -> list[Path]:
    return sorted((run.folder / "wandb").glob("*run-*"))


def records(folder: Path) -> list[dict[str, Any]]:
    """All of a run that has ended. W&B writes its file after `finish` has returned, on a busy machine much later."""
    deadline = time.monotonic() + 30
    while True:
        found = [json.loads(line) for line in _inspect(folder).splitlines()]
        if any(record["type"] == "exit" for record in found):  # figures of the system may follow it
            return found
        assert time.monotonic() < deadline, f"{folder} has no exit record"
        time.sleep(0.1)


def exit_code(folder: Path) -> int:
    (code,) = [record["exit"].get("exit_code", 0) for record in records(folder) if record["type"] == "exit"]
    return code


def summary(folder: Path) -> dict[str, Any]:
    records(folder)
    return json.loads(_inspect(folder, "--summary"))


def history(folder: Path) -> Iterator[dict[str, Any]]:
    """The logged rows, without W&B's own keys."""
    for record in records(folder):
        if record["type"] == "history":
            yield {key: value for key, value in record["history"]["item"].items() if not key.startswith("_")}


def _inspect(folder: Path, *options: str) -> str:
    """`wandb leet inspect`, without the second that its Python shell takes to start."""
    from wandb.util import get_core_path

    (file,) = folder.glob("*.wandb")
    words = [get_core_path(), "leet", "inspect", "--no-observability", "--json", *options]
    words += ["--run-file", str(file), str(folder.parent)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
