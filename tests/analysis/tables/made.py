"""Small tables and the run folders of their cells, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from exp.analysis.tables import load, plan
from exp.analysis.tables.plan import PlannedRun, TablePlan
from exp.run import folder as run_folder
from exp.run.events import EventLog
from exp.run.result import Result, write_result

SMALL: dict[str, Any] = {
    "title": "A small table",
    "source": {"paper": "none", "split": "dev"},
    "split": "dev",
    "seeds": [1, 2, 3],
    "overrides": ["tracker=none", "model=bert_tiny"],
    "rows": {
        "slow": {"overrides": ["optimizer=adamw", "optimizer.lr=1e-5"]},
        "fast": {"overrides": ["optimizer=adamw", "optimizer.lr=1e-3"]},
    },
    "columns": {
        "reviews": {"overrides": ["data=reviews"], "metric": "accuracy"},
        "short": {"overrides": ["data=reviews", "data.max_train_samples=100"], "metric": "accuracy"},
    },
    "published": {"slow": {"reviews": 80.0}, "fast": {"reviews": {"value": 90.0, "std": 1.0, "n": 5}}},
    "tolerance": 1.0,
}


def write_table(path: Path, **changes: Any) -> str:
    """The path of a table file: SMALL with `changes`; a value of ... leaves a key out."""
    node = {key: value for key, value in (SMALL | changes).items() if value is not ...}
    path.write_text(yaml.safe_dump(node, sort_keys=False))
    return str(path)


def make_plan(table: str, *sources: Path, only: tuple[str, ...] = (), **options: Any) -> TablePlan:
    return plan.make(load.load(table, **options), sources, only, False)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in flat.items():
        *above, name = key.split(".")
        node = found
        for part in above:
            node = node.setdefault(part, {})
        node[name] = value
    return found


def write_run(
    folder: Path,
    job: PlannedRun,
    accuracy: float = 0.9,
    status: str = "completed",
    metric: str = "accuracy",
    **cost: float,
) -> run_folder.Run:
    """A run of `job` as training would have left it, with evaluations of two epochs."""
    folder.mkdir(parents=True)
    run = run_folder.create(folder, nested(dict(job.config)))
    run.update(
        data={
            "name": "reviews",
            "objective": f"eval/{metric}",
            "chance": {"loss": 0.6931, "metrics": {"accuracy": [0.5, 0.0158]}},
            "eval_examples": {"": 1000},
        },
        model={"type": "bert", "parameters": 1000, "trained_parameters": 1000},
        git={"commit": "0123456789abcdef", "dirty": False, "diff": ""},
    )
    log = EventLog(run.metrics_path)
    for epoch in (1, 2):
        log.append({f"eval/{metric}": accuracy - 0.1 * (2 - epoch)}, step=10 * epoch, epoch=epoch)
    log.close()
    if status == "completed":
        point = {"value": accuracy, "step": 20}
        values = {f"eval/{metric}": point}
        told = {"name": f"eval/{metric}", **point}
        write_result(run.result_path, Result(status, told, values, values, {"train_seconds": 60.0} | cost))
    if status != "running":
        run.finish(status, "it was too hot" if status == "failed" else None)
    return run


def edit(folder: Path, **config: Any) -> None:
    """Changes top-level keys of the config in a record, as a careless hand would."""
    record = json.loads((folder / "run.json").read_text())
    record["config"].update(config)
    (folder / "run.json").write_text(json.dumps(record))
