"""Planning a table of 1,000 cells against 5,000 finished runs, and rendering it; peak memory, no torch.

    python benchmarks/table.py [--rows 20] [--columns 50]

Each figure stands beside its limit; exits with 1 where one is over it. CPU seconds are shown too: on a busy machine
only they say anything.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

PLAN_LIMIT, RENDER_LIMIT = 3.0, 2.0  # seconds
SEEDS = 5


def write_table(path: Path, rows: int, columns: int) -> None:
    """Rows differ in rate, columns in data set and size; every published value is 80."""
    tasks = ("cola", "sst2", "mrpc", "qqp", "mnli", "qnli", "rte", "wnli")
    node: dict[str, Any] = {
        "title": "A large table",
        "source": {"split": "dev"},
        "split": "dev",
        "seeds": list(range(SEEDS)),
        "tolerance": 1.0,
        "overrides": ["model=bert_base", "tracker=none"],
        "rows": {f"method {n}": {"overrides": [f"optimizer.lr={n + 1}e-6"]} for n in range(rows)},
        "columns": {
            f"task {n}": {
                "overrides": [f"data={tasks[n % 8]}", f"data.max_train_samples={n + 10}"],
                "metric": "loss",
            }
            for n in range(columns)
        },
    }
    node["published"] = {row: dict.fromkeys(node["columns"], 80.0) for row in node["rows"]}
    path.write_text(yaml.safe_dump(node, sort_keys=False))


def write_runs(root: Path, table: Path) -> None:
    """What finished runs of all cells leave, with the environment and diff that make a record long."""
    from exp.analysis.tables import load, plan

    values = {"eval/loss": {"value": 0.8, "step": 1000}, "eval/accuracy": {"value": 0.8, "step": 1000}}
    result = {"status": "completed", "objective": {"name": "eval/accuracy", "value": 0.8, "step": 1000}}
    result |= {"best": values, "last": values, "cost": {"train_seconds": 60.0}}
    for number, job in enumerate(plan.make(load.load(str(table)), [], [], False).jobs):
        folder = root / str(number)
        folder.mkdir(parents=True)
        record = {
            "schema": 1,
            "id": f"run{number}",
            "condition": job.condition,
            "seed": job.seeds["seed"],
            "status": "completed",
            "git": {"commit": "0" * 40, "dirty": True, "diff": "x" * 20_000},
            "packages": {"python": "3.11", "torch": "2.13.0"},
            "hardware": {"cpu": "a", "cores": 2},
            "config": _nested(job.config),
        }
        (folder / "run.json").write_text(json.dumps(record))
        (folder / "result.json").write_text(json.dumps(result))


def _nested(flat: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in flat.items():
        *above, name = key.split(".")
        node = found
        for part in above:
            node = node.setdefault(part, {})
        node[name] = value
    return found


def measured(table: str, runs: str, folder: str) -> None:
    """In a process of its own: one line of JSON with wall and CPU seconds of planning and rendering."""
    begun, cpu = time.perf_counter(), time.process_time()
    from exp.analysis.tables import load, plan, produce

    made = plan.make(load.load(table), [Path(runs)], [], False)
    assert made.count("found") == len(made.jobs), made.count("found")
    planned, planned_cpu = time.perf_counter() - begun, time.process_time() - cpu
    begun, cpu = time.perf_counter(), time.process_time()
    produce.write(made, Path(folder), None)
    rendered, rendered_cpu = time.perf_counter() - begun, time.process_time() - cpu
    figures = {
        "cells": len(made.cells),
        "plan": (planned, planned_cpu),
        "render": (rendered, rendered_cpu),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "torch": "torch" in sys.modules,
    }
    print(json.dumps(figures), file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--columns", type=int, default=50)
    options = parser.parse_args()
    over = False
    with tempfile.TemporaryDirectory() as scratch:
        table, runs = Path(scratch) / "large.yaml", Path(scratch) / "runs"
        os.environ["EXP_CACHE"] = str(Path(scratch) / "setup")
        write_table(table, options.rows, options.columns)
        write_runs(runs, table)
        print(f"{'':22} {'seconds':>8} {'CPU':>6} {'limit':>6}")
        for what in ("nothing cached", "the second time"):
            environment = {**os.environ, "EXP_CACHE": str(Path(scratch) / "cache")}
            code = f"import runpy; runpy.run_path({__file__!r})['measured']({str(table)!r}, {str(runs)!r}, {scratch!r})"
            done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            figures = json.loads(done.stderr.splitlines()[-1])
            assert not figures["torch"]
            for part, limit in (("plan", PLAN_LIMIT), ("render", RENDER_LIMIT)):
                seconds, cpu = figures[part]
                print(f"{part}, {what:15} {seconds:8.2f} {cpu:6.2f} {limit:6.1f}")
                over |= what == "the second time" and min(seconds, cpu) > limit
        print(f"{figures['cells']} cells, {len(list(runs.iterdir()))} runs, {figures['megabytes']:.0f} MB at most")
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
