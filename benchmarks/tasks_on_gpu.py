"""Every task on a GPU: both loops event by event, and exp.evaluate against the record.

python -m benchmarks.tasks_on_gpu                 # embedded data, 8 steps each, ten runs side by side
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CASES = [
    *("data=reviews", "data=trips", "data=tastes", "data=toy_notes", "data=toy_language", "data=markov_text"),
    *("data=quiz", "data=textures", "data=tones", "data=paraphrases"),
    "data=markov_text task=masked_lm model=bert_tiny",
    "data=reviews adapter=lora",
    "data=toy_notes adapter=lora task.num_beams=3",
    "data=quiz task.packing=true",
]
SHORT = ["max_steps=8", "eval_strategy=steps", "eval_steps=4", "logging_steps=1", "data.max_eval_samples=40"]
LOOPS = ("accelerate", "trainer")
AT_ONCE = 10


def trained(words: Sequence[str], folder: Path) -> tuple[list[Any], str]:
    """The events of a run, and what exp.evaluate says of it."""
    python = [sys.executable, "-W", "ignore", "-m"]
    command = [*python, "exp.train", *words, *SHORT, "tracker=none", f"hydra.run.dir={folder}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return [], (done.stderr.strip().splitlines() or ["failed"])[-1]
    again = subprocess.run([*python, "exp.evaluate", str(folder)], capture_output=True, text=True)
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    events = [{key: json.loads(line).get(key) for key in ("step", "metrics")} for line in lines]
    return events, "equal" if again.returncode == 0 else (again.stdout or again.stderr).strip().splitlines()[-1]


def main() -> None:
    os.environ |= {"OMP_NUM_THREADS": "2", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    print("| case | speed | events | both loops | exp.evaluate |\n| --- | --- | --- | --- | --- |")
    with TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:

        def both(number: int, words: str, speed: str) -> list[Any]:
            place = Path(folder) / f"{number}-{speed}"
            asked = [*words.split(), f"speed={speed}"]
            return [pool.submit(trained, [*asked, f"loop={loop}"], place / loop) for loop in LOOPS]

        jobs = [
            (case, speed, both(number, case, speed)) for number, case in enumerate(CASES) for speed in ("exact", "fast")
        ]
        for case, speed, found in jobs:
            (one, told), (other, also) = (job.result() for job in found)
            equal = "equal" if one and one == other else "differ"
            print(
                f"| {case} | {speed} | {len(one)} | {equal} | {told if told == also else f'{told}; {also}'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
