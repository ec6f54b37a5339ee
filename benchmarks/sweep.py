"""python benchmarks/sweep.py [overhead|speedup|hyperband|noop ...]

What a sweep costs and gains, each as a ratio or a time within one run of this file:

overhead   seconds a trial takes beside its training and evaluation, in a warm worker, embedded default, without a
           tracker and with W&B offline (goal: median under 0.3)
speedup    24 trials by 2 workers with one thread each, against the plain sweeper with two (at least 1.6)
hyperband  optimizer steps that Hyperband needs against none, 40 trials of 24 evaluations, over 5 study seeds
           (at most 0.4), and how much worse its best is (at most 0.005). The curves are trained once, and
           replayed through Optuna, so that both arms of every seed see the same trainings.
noop       seconds that a study adds to a trial that does nothing: 100 of them, 2 workers (goal: under 0.3)
"""

from __future__ import annotations

import csv
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SMALL = ["tracker=none", "data.max_train_samples=512", "data.max_eval_samples=256"]
SPACE = ["optimizer.lr=tag(log,interval(1e-4,1e-2))", "per_device_train_batch_size=choice(16,32)"]
STUDY = ["hydra/sweeper=study", "hydra.sweeper.pictures=false"]


def sweep(folder: Path, *words: str, threads: int | None = None) -> float:
    """Seconds that the command took."""
    environment = dict(os.environ)
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    begun = time.perf_counter()
    command = [sys.executable, "-m", "exp.train", "--multirun", f"hydra.sweep.dir={folder}", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - begun


def trials(folder: Path) -> list[dict[str, float]]:
    """Per finished trial: seconds from claim to told, inside the task, of training steps, of the last evaluation."""
    found = []
    with (folder / "trials.csv").open() as file:
        for row in csv.DictReader(file):
            cost = json.loads((folder / row["number"] / "result.json").read_text())["cost"]
            whole, task = float(row["seconds"]), float(row["task_seconds"])
            *_, logged, evaluated = events(folder / row["number"])
            evaluation = evaluated["time"] - logged["time"] if evaluated["step"] == logged["step"] else math.nan
            found.append({"seconds": whole, "task": task, "train": cost["train_seconds"], "evaluation": evaluation})
    return found


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def overhead(home: Path) -> None:
    os.environ["WANDB_MODE"] = "offline"
    for name, words in (("without a tracker", ["tracker=none"]), ("with W&B offline", [])):
        folder = home / name.replace(" ", "-").replace("&", "")
        # 60 steps: the last one is logged, and the only evaluation follows it.
        sweep(folder, *words, *STUDY, *SPACE, "hydra.sweeper.n_trials=10", "max_steps=60")
        rows = trials(folder)
        beside = [row["seconds"] - row["train"] for row in rows]
        study = [row["seconds"] - row["task"] for row in rows[1:]]
        warm = [value - row["evaluation"] for value, row in zip(beside[1:], rows[1:], strict=True)]
        print(f"{name}: warm trials, median {statistics.median(warm):.3f} s, max {max(warm):.3f} s (goal 0.3)")
        print(f"  with the evaluation of 1,000 examples: median {statistics.median(beside[1:]):.3f} s")
        print(f"  of it the study itself: {statistics.median(study):.3f} s (ask, compose, folder, tell)")
        print(f"  first trial of the worker: {beside[0]:.2f} s (imports, data)")


def noop(home: Path, count: int = 100) -> None:
    stub = Path(__file__).parents[1] / "tests" / "study" / "stub" / "app.py"
    words = [f"hydra.searchpath=[file://{Path(__file__).parents[1] / 'conf'}]", *STUDY, "x=interval(0.0,1.0)"]
    words += ["hydra.sweeper.direction=maximize", "evaluations=1", "hydra.sweeper.n_jobs=2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (stub.parent, stub.parents[3] / "src")))}
    walls = {}
    for total in (2, count):  # the short one is what starting and summing up cost
        folder = home / f"noop{total}"
        command = [sys.executable, str(stub), "--multirun", f"hydra.sweep.dir={folder}", *words]
        begun = time.perf_counter()
        subprocess.run([*command, f"hydra.sweeper.n_trials={total}"], env=environment, check=True, capture_output=True)
        walls[total] = time.perf_counter() - begun
    with (home / f"noop{count}" / "trials.csv").open() as file:
        found = sorted(float(row["seconds"]) for row in csv.DictReader(file))
    print(f"{count} trials in {walls[count]:.1f} s, 2 in {walls[2]:.1f} s: one more every "
          f"{(walls[count] - walls[2]) / (count - 2):.3f} s")  # fmt: skip
    print(f"claimed to told: median {statistics.median(found):.3f} s, the slowest {found[-1]:.3f} s (goal 0.3)")


def speedup(home: Path) -> None:
    common = [*SMALL, *SPACE, "hydra.sweeper.n_trials=24", "num_train_epochs=3", "hydra.sweeper.sampler.seed=1"]
    ours = sweep(home / "ours", *STUDY, *common, "hydra.sweeper.n_jobs=2", "hydra.sweeper.threads=1")
    print(f"2 workers: {ours:.1f} s", flush=True)
    plain = ["hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_jobs=1"]
    theirs = sweep(home / "plain", *plain, *common, threads=2)
    print(f"plain sweeper: {theirs:.1f} s; 2 workers are {theirs / ours:.2f} times as fast (goal 1.6)")


def hyperband(home: Path, configs: int = 48) -> None:
    # With 512 examples no run has left guessing at the first two rungs: all tie there, and none is pruned.
    words = ["tracker=none", "data.max_train_samples=1024", "data.max_eval_samples=256", *STUDY, *SPACE]
    words += ["hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=7"]
    words += [f"hydra.sweeper.n_trials={configs}", "num_train_epochs=24", "hydra.sweeper.n_jobs=2"]
    sweep(home / "curves", *words)
    curves = []
    for number in range(configs):
        told = events(home / "curves" / str(number))
        points = [(e["step"], e["metrics"]["eval/accuracy"]) for e in told if "eval/accuracy" in e["metrics"]]
        if len(points) == 24:
            curves.append(points)
    kept = Path(__file__).parent / "results" / "hyperband_curves.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(curves))
    shares, losses = [], []
    for seed in range(5):
        chosen = random.Random(seed).sample(curves, 40)
        share, loss = replay(chosen, seed)
        shares.append(share)
        losses.append(loss)
        print(f"seed {seed}: {share:.2f} of the steps, best {loss:+.4f} below the unpruned best")
    print(f"median {statistics.median(shares):.2f} of the steps (goal 0.4), {statistics.median(losses):.4f} (0.005)")


def replay(curves: list[list[tuple[int, float]]], seed: int) -> tuple[float, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=24, reduction_factor=3)
    study = optuna.create_study(study_name=f"seed {seed}", direction="maximize", pruner=pruner)
    steps, best = 0, 0.0
    for curve in curves:
        trial = study.ask()
        pruned = False
        for index, (_, value) in enumerate(curve, start=1):
            trial.report(value, index)
            if index < len(curve) and trial.should_prune():
                pruned = True
                break
        steps += curve[index - 1][0]
        reached = max(value for _, value in curve[:index])
        if not pruned:
            best = max(best, reached)
        study.tell(trial, None if pruned else reached, state=optuna.trial.TrialState.PRUNED if pruned else None)
    whole = sum(curve[-1][0] for curve in curves)
    return steps / whole, max(value for curve in curves for _, value in curve) - best


def main() -> None:
    parts = {"overhead": overhead, "speedup": speedup, "hyperband": hyperband, "noop": noop}
    with tempfile.TemporaryDirectory() as home:
        for name in sys.argv[1:] or parts:
            print(f"-- {name}")
            parts[name](Path(home))


if __name__ == "__main__":
    main()
