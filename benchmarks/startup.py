"""From the command to an answer, and to the first optimizer step.

python -m benchmarks.startup
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import alternate, report, show

IMPORTS = "import torch, datasets; from transformers import Trainer"


def seconds(*words: str, code: int = 0) -> float:
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()
    return time.perf_counter() - begun


def first_step(*words: str) -> float:
    """Seconds from the launch to the end of a run of one step, evaluation and saving included."""
    with TemporaryDirectory() as folder:
        quiet = ["eval_strategy=no", "data.max_eval_samples=8", "max_steps=1", f"hydra.run.dir={Path(folder) / 'run'}"]
        begun = time.time()
        subprocess.run([sys.executable, "-m", "exp.train", *quiet, *words], capture_output=True, check=True)
        return _first_event(folder) - begun


def _first_event(folder: str) -> float:
    """Wall time of the first event: the file's birth is the tracker's start, its text comes with the first step."""
    return (Path(folder) / "run" / "metrics.jsonl").stat().st_mtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    light = {
        "--cfg job": lambda: seconds("-m", "exp.train", "--cfg", "job"),
        "--help": lambda: seconds("-m", "exp.train", "--help"),
        "a typo": lambda: seconds("-m", "exp.train", "optimizer.lrr=1", code=2),
    }
    lines = show("Answers without a training (seconds)", alternate(light, rounds), "seconds", "--cfg job")
    heavy = {
        "bare imports": lambda: seconds("-c", IMPORTS),
        "first step": lambda: first_step("logging_steps=1"),
        "first step, no tracker": lambda: first_step("logging_steps=1", "tracker=none"),
    }
    values = alternate(heavy, rounds)
    lines += show("Launch to the first optimizer step (seconds)", values, "seconds", "bare imports")
    report("startup", lines, {"first_step": values})


if __name__ == "__main__":
    main()
