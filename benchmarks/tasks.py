"""Every task on real data: its metric, and whether both loops, a killed and resumed run, exp.evaluate and the saved
model agree.

    python -m benchmarks.tasks --data <folder> [--only SQuAD ...]

A case is trained once for its metric. Then three short runs on few rows are compared: both loops, and one that was
killed at its first checkpoint. Rows stay in benchmarks/results/tasks/, so that a table can be made in several goes.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import math
import os
import re
import runpy
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.harness import report
from benchmarks.kill_resume import story
from benchmarks.task_cases import Case, cases

KEPT = Path(__file__).parent / "results" / "tasks"
SHORT = [
    *(
        "max_steps=8",
        "save_strategy=steps",
        "save_steps=4",
        "save_total_limit=9",
        "eval_strategy=steps",
        "eval_steps=4",
    ),
    *("per_device_train_batch_size=4", "gradient_accumulation_steps=2", "logging_steps=1", "do_predict=false"),
    *("data.max_train_samples=60", "data.max_eval_samples=10", "tracker=none"),
]
# What a pipeline of transformers is asked.
ASKED: dict[str, Any] = {"fill-mask": "Paris is the [MASK] of France.", "text-generation": "The king"}
# Imported once, for all commands: they are forks of this process.
HEAVY = ("torch", "transformers.trainer", "accelerate", "peft", "datasets", "sklearn.metrics", "matplotlib.pyplot")


def started(module: str, words: list[str], log: Path) -> int:
    """The process id of `python -m module words`, in a fork of this process."""
    child = os.fork()
    if child:
        return child
    with log.open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    sys.argv = [module, *words]
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def run(module: str, words: list[str], log: Path) -> str:
    """What it said. Raises SystemExit where it failed."""
    _, status = os.waitpid(started(module, words, log), 0)
    said = log.read_text()
    if status:
        raise SystemExit(f"{module} {' '.join(words)}\n{said[-2500:]}")
    return said


def train(folder: Path, words: list[str]) -> None:
    run("exp.train", [*words, f"hydra.run.dir={folder}"], folder.with_suffix(".log"))


def killed(folder: Path, words: list[str]) -> bool:
    """Whether the run was ended by SIGKILL at its first checkpoint, before its end."""
    child = started("exp.train", [*words, f"hydra.run.dir={folder}"], folder.with_suffix(".log"))
    while not list(folder.glob("checkpoints/step-*/state.json")) and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return not (folder / "result.json").exists()


def events_equal(one: Path, two: Path) -> bool:
    """Every number within 1e-6 of the other, in the same order."""
    left, right = ([(event["step"], event["metrics"]) for event in story(folder)["events"]] for folder in (one, two))
    if [(step, list(found)) for step, found in left] != [(step, list(found)) for step, found in right]:
        return False
    pairs = [(first[key], second[key]) for (_, first), (_, second) in zip(left, right, strict=True) for key in first]
    return all(a == b or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in pairs)


def loads(folder: Path) -> str:
    """How the saved model was used without exp: transformers' pipeline, or the code of its card."""
    from transformers import pipeline

    facts = json.loads((folder / "run.json").read_text())["data"]
    if "usage" in facts:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(facts["usage"].replace("PLACE", str(folder / "model")), {})
        return "card" if said.getvalue().strip() else "no"
    use = pipeline(facts["pipeline"], model=str(folder / "model"))
    return "pipeline" if use(ASKED.get(facts["pipeline"], "Maria lives in Berlin.")) else "no"


def measure(case: Case, folder: Path) -> dict[str, Any]:
    limit = [] if case.steps is None else [f"max_steps={case.steps}", "eval_strategy=steps", f"eval_steps={case.steps}"]
    train(folder / "long", [*case.words, *limit, "tracker=none"])
    result = json.loads((folder / "long" / "result.json").read_text())
    record = json.loads((folder / "long" / "run.json").read_text())
    short = [word for word in case.words if not re.match(r"data\.max_|do_predict", word)] + SHORT
    for loop in ("accelerate", "trainer"):
        train(folder / loop, [*short, f"loop={loop}"])
    was_cut = killed(folder / "cut", [*short, "loop=accelerate"])
    run("exp.train", [f"resume={folder / 'cut'}"], folder / "resumed.log")
    measured = run("exp.evaluate", [f"run={folder / 'long'}"], folder / "evaluate.log")
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
        "resume": was_cut and story(folder / "cut") == story(folder / "accelerate"),
        "evaluate": "gives every recorded number exactly" in measured,
        "model": loads(folder / "long"),
    }


def table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| data | metric | guessing | steps (epochs) | seconds | loops equal | resume equal | evaluate | model by |",
        f"|{' --- |' * 9}",
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
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder with multiple-choice/commonsenseqa and so on"
    )
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of names")
    parser.add_argument("--keep", type=Path, help="where run folders stay")
    asked = parser.parse_args()
    for name in HEAVY:
        importlib.import_module(name)
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
