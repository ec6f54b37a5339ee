"""Stands in for exp.training.cell_trainer: answers like it, and leaves run folders without training.

STUB_FAIL=word: a run whose words hold it fails; STUB_DIE=file: the first run that finds no such file dies and makes it.
STUB_LOG: one line a run, so that a test sees who ran what. STUB_SECONDS: how long a run takes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.analysis.tables.made import nested

from exp.analysis.tables.compose import compose, resolved
from exp.run.folder import read_record
from exp.work.claims import kept_alive


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "check" in asked:
            answer = {"error": None}
        else:
            with kept_alive(Path(asked["claim"])):
                answer = {"code": train(asked["train"])}
        print(json.dumps(answer), flush=True)


def train(words: list[str]) -> int:
    from exp.run.events import EventLog
    from exp.run.folder import create
    from exp.run.result import Result, write_result

    resumed = [word for word in words if word.startswith("resume=")]
    if resumed:
        folder = Path(resumed[0].partition("=")[2].strip("'"))
        config = read_record(folder)["config"]
    else:
        folder = Path(next(word for word in words if word.startswith("hydra.run.dir=")).partition("=")[2].strip("'"))
        config = nested(resolved(compose([word for word in words if not word.startswith("hydra.")])))
    with Path(os.environ["STUB_LOG"]).open("a") as log:
        log.write(f"{'resume ' if resumed else ''}{folder.name} {os.getpid()} {os.environ.get('OMP_NUM_THREADS')}\n")
    if not resumed:
        folder.mkdir(parents=True)
    run = create(folder, config)
    die = os.environ.get("STUB_DIE")
    if die and not Path(die).exists():
        Path(die).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
    fail = os.environ.get("STUB_FAIL")
    if fail and fail in " ".join(words):
        run.finish("failed", "as asked")
        return 1
    seed = config["seed"]
    value = {"value": 0.9 + seed / 1000, "step": 10}
    EventLog(run.metrics_path).append({"eval/accuracy": value["value"]}, step=10, epoch=1)
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "weights").write_text(run.id)
    values = {"eval/accuracy": value, "eval/matthews_correlation": value}
    write_result(
        run.result_path, Result("completed", {"name": "eval/accuracy", **value}, values, values, {"train_seconds": 5.0})
    )
    run.finish("completed")
    return 0


if __name__ == "__main__":
    main()
