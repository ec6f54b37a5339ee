"""python -m benchmarks.streaming [--sizes 50000 5000000] [--steps 200]

A stream of a small and of a large file of JSON lines: seconds from the launch to the first optimizer step, and the
peak of resident memory of the whole run. gpt2_tiny with one layer of 32, on one thread. `--plain` reads the small file
into memory too, for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from exp.data.dice import Dice
from exp.run.events import read_events

WORDS = [f"{one}{two}" for one in ("", "un", "re", "over") for two in ("do", "make", "see", "house", "tree", "go")]


def write(file: Path, rows: int) -> None:
    """Some 17 drawn words a row, each row with a number of its own; 1,000 sentences are drawn."""
    dice = Dice(7)
    sentences = [" ".join(dice.pick(WORDS) for _ in range(10 + 15 * dice.chance(0.5))) for _ in range(1000)]
    with file.open("w", encoding="utf-8") as out:
        for row in range(rows):
            out.write(f'{{"text": "{sentences[row % 1000]} {row}"}}\n')


def measured(folder: Path, train: Path, steps: int, streaming: bool) -> dict[str, float]:
    run = folder / f"run-{train.stem}-{streaming}"
    words = [
        *("data=files", f"data.path={folder}", f"data.train_file={train.name}", "data.validation_file=dev.jsonl"),
        *("task=causal_lm", "task.block_size=64", f"max_steps={steps}", "logging_steps=1", "tracker=none"),
        # Small, because the model is not what is measured: the steps pass over five portions of rows.
        *("model.num_hidden_layers=1", "model.hidden_size=32", "data.shuffle_buffer=1000"),
        *(f"data.streaming={str(streaming).lower()}", f"hydra.run.dir={run}", "cost.energy=off"),
    ]
    begun = time.time()
    first: list[float] = []

    def watch() -> None:
        while not first:
            if read_events(run / "metrics.jsonl"):
                first.append(time.time() - begun)
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()
    environment = {**os.environ, "EXP_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "exp.train", *words], check=True, cwd=folder, env=environment)
    whole = time.time() - begun
    cost = json.loads((run / "result.json").read_text())["cost"]
    return {"first": first[0], "whole": whole, "peak": cost["peak_memory_bytes"] / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[50_000, 5_000_000])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        write(folder / "dev.jsonl", 50)
        print("| rows | file | first step after | all steps after | peak of resident memory |")
        print("| --- | --- | --- | --- | --- |")
        for size in given.sizes:
            train = folder / f"train{size}.jsonl"
            write(train, size)
            for streaming in (True, False) if given.plain and size == given.sizes[0] else (True,):
                found = measured(folder, train, given.steps, streaming)
                how = "" if streaming else ", in memory"
                print(
                    f"| {size:,}{how} | {train.stat().st_size / 2**20:.0f} MB | {found['first']:.1f} s | "
                    f"{found['whole']:.1f} s | {found['peak']:.0f} MB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
