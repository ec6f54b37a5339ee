"""W&B's artifacts of a run: what it was made of, what it made, and what it predicted on the way. Online only."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.run.folder import read_record
from exp.run.secrets import redacted
from exp.tracker.media import best_values

if TYPE_CHECKING:
    import pyarrow as pa
    import wandb

    from exp.run.folder import Run

LONGEST = 128  # characters of a name
DATA_FACTS = ("fingerprint", "train_examples", "eval_examples", "label_names", "label_counts", "leaks")


def use_inputs(remote: wandb.Run, run: Run, seconds: float) -> None:
    """Names the data set, and the weights that the run started from, as inputs of the run.

    A version is a small file of facts: a data set's fingerprint, the path or hub name of weights and the fingerprint of
    their files. Equal facts are the same version, so W&B's graph joins all runs on the same data.

    Raises TimeoutError if the server has not taken them within `seconds`.
    """
    record = read_record(run.folder)
    for kind, name, facts in _inputs(record):
        _within(seconds, lambda kind=kind, name=name, facts=facts: remote.use_artifact(_of_facts(kind, name, facts)))


def store_outputs(remote: wandb.Run, run: Run) -> None:
    """Model and predictions as versions; runs of one condition share a collection."""
    import wandb

    facts = {"condition": run.condition, "seed": run.seed, **best_values(run)}
    for kind, folder in (("model", run.model_folder), ("predictions", run.predictions)):
        if folder.is_dir():
            artifact = wandb.Artifact(f"{kind}-{run.condition}", kind, metadata=facts)
            artifact.add_dir(str(folder))
            remote.log_artifact(artifact, aliases=["latest", f"seed-{run.seed}"])


def prediction_table(table: pa.Table, rows: int) -> wandb.Table:
    """The first rows, the same ones at every evaluation."""
    import wandb

    shown = table.slice(0, rows).to_pylist()
    data = [[json.dumps(value) if isinstance(value, dict) else value for value in row.values()] for row in shown]
    return wandb.Table(columns=table.column_names, data=data, allow_mixed_types=True)


def _inputs(record: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    data, found = record.get("data"), []
    if data:  # else it ended before it had read any
        facts = {key: data[key] for key in DATA_FACTS if key in data}
        found.append(("dataset", f"data-{data['name']}", facts))
    path = record["config"].get("model", {}).get("path")
    if path:
        model = {key: record["config"]["model"].get(key) for key in ("path", "revision")}
        files = record["paths"].get("model.path")
        found.append(("model", f"start-{Path(path).name}", {**model, "files": files}))
    return found


def _of_facts(kind: str, name: str, facts: Mapping[str, Any]) -> wandb.Artifact:
    import wandb

    facts = redacted(dict(facts))
    artifact = wandb.Artifact(re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:LONGEST], kind, metadata=facts)
    with artifact.new_file("facts.json") as file:
        json.dump(facts, file, indent=2, sort_keys=True)
    return artifact


def _within(seconds: float, call: Any) -> None:
    """`use_artifact` waits for its server for ever."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=work, name="exp W&B inputs", daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s")
