"""Every task on real data: its metric, and whether both loops, a killed and resumed run, exp.evaluate and the saved
model agree.

    python -m benchmarks.tasks --data <folder> [--only SQuAD ...]

A case is trained once for its metric. Then three short runs on few rows are compared: both loops, and one that was killed
at its first checkpoint. Rows stay in benchmarks/results/tasks/, so that a table can be made in several goes.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.harness import report
from benchmarks.kill_resume import story
from benchmarks.task_cases import Case, cases

KEPT = Path(__file__).parent / "results" / "tasks"
SHORT = [
    *("max_steps=16", "save_strategy=steps", "save_steps=4", "save_total_limit=9", "eval_strategy=steps", "eval_steps=8"),
    *("logging_steps=1", "data.max_train_samples=100", "data.max_eval_samples=20", "do_predict=false"),
]
# What a pipeline of transformers is asked.
ASKED: dict[str, tuple[Any, ...]] = {
    "fill-mask": ("Paris is the [MASK] of France.",),
    "text-generation": ("The king",),
}


def train(folder: Path, words: list[str]) -> float:
    """Seconds. Raises SystemExit with the end of what the run said where it failed."""
    began = time.perf_counter()
    done = subprocess.run(_command(folder, words), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{folder.name}: {' '.join(words)}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return time.perf_counter() - began


def _command(folder: Path, words: list[str]) -> list[str]:
    return [sys.executable, "-m", "exp.train", *words, "tracker=none", f"hydra.run.dir={folder}"]


def killed(folder: Path, words: list[str]) -> bool:
    """Whether the run was ended by SIGKILL at its first checkpoint, before its end."""
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        process = subprocess.Popen(_command(folder, words), stdout=log, stderr=log)
        while process.poll() is None and not list(folder.glob("checkpoints/step-*/state.json")):
            time.sleep(0.005)
        process.kill()
        process.wait()
    return not (folder / "result.json").exists()


def events_equal(one: Path, two: Path) -> bool:
    """Every number within 1e-6 of the other, in the same order."""
    left, right = ([(event["step"], event["metrics"]) for event in story(folder)["events"]] for folder in (one, two))
    if [(step, list(found)) for step, found in left] != [(step, list(found)) for step, found in right]:
        return False
    pairs = [(first[key], second[key]) for (_, first), (_, second) in zip(left, right, strict=True) for key in first]
    return all(a == b or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in pairs)


def evaluates(folder: Path) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "exp.evaluate", f"run={folder}"], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and "gives every recorded number exactly" in done.stdout


def loads(folder: Path) -> str:
    """How the saved model was used without exp: transformers' pipeline, or the code of its card."""
    from transformers import pipeline

    facts = json.loads((folder / "run.json").read_text())["data"]
    if "usage" in facts:
        with redirect_stdout(io.StringIO()) as said:
            exec(facts["usage"].replace("PLACE", str(folder / "model")), {})
        return "card" if said.getvalue().strip() else "no"
    use = pipeline(facts["pipeline"], model=str(folder / "model"))
    return "pipeline" if use(*ASKED.get(facts["pipeline"], ("Maria lives in Berlin.",))) else "no"


def measure(case: Case, folder: Path) -> dict[str, Any]:
    limit = [] if case.steps is None else [f"max_steps={case.steps}", "eval_strategy=steps", f"eval_steps={case.steps}"]
    train(folder / "long", [*case.words, *limit])
    result = json.loads((folder / "long" / "result.json").read_text())
    record = json.loads((folder / "long" / "run.json").read_text())
    short = [word for word in case.words if not re.match(r"data\.max_|do_predict", word)] + SHORT
    for loop in ("accelerate", "trainer"):
        train(folder / loop, [*short, f"loop={loop}"])
    was_cut = killed(folder / "cut", [*short, "loop=accelerate"])
    resumed = subprocess.run([sys.executable, "-m", "exp.train", f"resume={folder / 'cut'}"], capture_output=True)
    named = record["data"]["objective"].rpartition("/")[2]
    found = {key: one["value"] for key, one in result["last"].items() if key.rpartition("/")[2] == named}
    return {
        "name": case.name,
        "said": case.said,
        "metric": {key: value for key, value in found.items() if not key.startswith("train")},
        "chance": record["data"]["chance"]["metrics"].get(named, [None])[0],
        "steps": result["cost"]["steps"],
        "epochs": result["cost"]["steps"] / record["plan"]["steps_per_epoch"],
        "seconds": result["cost"]["train_seconds"],
        "loops": events_equal(folder / "accelerate", folder / "trainer"),
        "resume": was_cut and resumed.returncode == 0 and story(folder / "cut") == story(folder / "accelerate"),
        "evaluate": evaluates(folder / "long"),
        "model": loads(folder / "long"),
    }


def table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| data | metric | guessing | steps (epochs) | seconds | loops equal | resume equal | evaluate equal | model used by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        metric = ", ".join(f"{key} {value:.4g}" for key, value in row["metric"].items())
        same = " | ".join("yes" if row[key] else "**no**" for key in ("loops", "resume", "evaluate"))
        name = f"{row['name']} ({row['said']})" if row["said"] else row["name"]
        chance = "" if row["chance"] is None else f"{row['chance']:.3g}"
        steps = f"{row['steps']} ({row['epochs']:.2g})"
        lines.append(f"| {name} | {metric} | {chance} | {steps} | {row['seconds']:.0f} | {same} | {row['model']} |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description="Every task on real data.")
    parser.add_argument("--data", type=Path, required=True, help="the folder with multiple-choice/commonsenseqa and so on")
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of names")
    parser.add_argument("--keep", type=Path, help="where run folders stay")
    asked = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    every = cases(asked.data.resolve())
    for case in every:
        if asked.only and not any(case.name.startswith(name) for name in asked.only):
            continue
        folder = Path(tempfile.mkdtemp(prefix="task-", dir=asked.keep))
        row = measure(case, folder)
        (KEPT / f"{case.name}.json").write_text(json.dumps(row, indent=1))
        print("\n".join(table([row])[2:]), flush=True)
    rows = [json.loads(file.read_text()) for case in every if (file := KEPT / f"{case.name}.json").exists()]
    report("tasks", table(rows), {"rows": rows})


if __name__ == "__main__":
    main()
