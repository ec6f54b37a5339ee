"""Start to table for 1,000 and 10,000 run folders, cold and through the index, with peak memory.

    python benchmarks/compare.py [--runs 1000 10000]

Prints each figure beside its limit and exits with 1 where one is over it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from exp.run.events import EventLog
from exp.run.folder import create
from exp.run.result import Result

# Seconds cold, seconds with the index, MB: the limits for each number of runs (None: no limit is promised).
LIMITS = {1000: (2.5, 2.5, 500.0), 10_000: (None, 10.0, 500.0)}
CONFIG_KEYS = 80  # a composed conf/train.yaml has about as many
DIFF = 20_000  # characters of git diff in each run.json


def write_runs(root: Path, count: int) -> None:
    """Five seeds a condition; 150 training events and 3 evaluations each, as in three epochs of MRPC."""
    filler = {f"option_{number}": number / 7 for number in range(CONFIG_KEYS)}
    first = root / "0"
    first.mkdir(parents=True)
    config: dict[str, Any] = {"data": {"name": "mrpc"}, "optimizer": {"lr": 1e-5}, "more": filler, "seed": 0}
    run = create(first, config)
    run.update(git={"commit": "0" * 40, "dirty": True, "diff": "x" * DIFF})
    log = EventLog(run.metrics_path)
    for step in range(10, 1510, 10):
        log.append({"train/loss": 1 / step, "train/lr": 1e-5, "train/grad_norm": 1.0}, step=step, epoch=step / 500)
        if step % 500 == 0:
            log.append({"eval/loss": 1 / step, "eval/accuracy": 0.8, "eval/f1": 0.8}, step=step, epoch=step / 500)
    log.close()
    run.finish("completed")
    record = json.loads((first / "run.json").read_text())
    events = run.metrics_path.read_bytes()
    for number in range(count):
        folder = root / str(number)
        folder.mkdir(exist_ok=True)
        condition, seed = divmod(number, 5)
        config["optimizer"]["lr"], config["seed"] = 1e-5 * (1 + condition), seed
        mine = record | {"id": f"run{number}", "condition": f"{condition:012x}", "seed": seed, "config": config}
        (folder / "run.json").write_text(json.dumps(mine, indent=2))
        (folder / "metrics.jsonl").write_bytes(events)
        values = {
            key: {"value": 0.8 + number / 1e5, "step": 1000}
            for key in ("eval/loss", "eval/accuracy", "eval/f1", "train/loss")
        }
        objective = {"name": "eval/accuracy", "value": 0.8, "step": 1000}
        result = Result("completed", objective, values, values, {"train_seconds": 60.0})
        (folder / "result.json").write_text(json.dumps(asdict(result)))  # unsynced, or ten thousand take minutes


def measure(root: Path, index: Path) -> tuple[float, float]:
    """Wall seconds of the whole process, and its peak resident memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "exp.compare", str(root), "--index", str(index)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return seconds, usage.ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", nargs="+", type=int, default=[1000, 10_000])
    over = False
    print(f"{'runs':>7} {'':12} {'seconds':>8} {'limit':>6} {'MB':>6} {'limit':>6}")
    for count in parser.parse_args().runs:
        cold_limit, warm_limit, memory_limit = LIMITS.get(count, (None, None, None))
        with tempfile.TemporaryDirectory() as scratch:
            write_runs(Path(scratch) / "runs", count)
            for what, limit in (("no index yet", cold_limit), ("index", warm_limit)):
                seconds, memory = measure(Path(scratch) / "runs", Path(scratch) / "index.sqlite")
                told = f"{limit:6.1f}" if limit else "     -"
                print(f"{count:7} {what:12} {seconds:8.2f} {told} {memory:6.0f} {memory_limit or 0:6.0f}")
                over |= bool(limit and seconds > limit) or bool(memory_limit and memory > memory_limit)
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
