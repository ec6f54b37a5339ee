"""benchmarks.search in virtual time: curves of an unpruned sweep stand for trainings.

So a busy machine changes nothing, and many study seeds cost minutes.

python -m exp.train --multirun sweep=asha hydra/sweeper/sampler=random hydra/sweeper/pruner=none tracker=none \\
    data.max_train_samples=512 hydra.sweeper.n_trials=64 hydra.sweep.dir=CURVES hydra.sweeper.sampler.seed=11
python -m benchmarks.search_replay CURVES --studies 60

A trial's curve is one of the three nearest in rate, batch size and warmup. Seconds of an epoch are round numbers after
RESULTS.md, one thread a worker.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner

from benchmarks.harness import report
from benchmarks.search import TOLERANCE
from exp.study.samplers import make_sampler

EPOCHS = 24
EPOCH_SECONDS = {8: 0.62, 16: 0.40, 32: 0.28}  # 512 rows and an evaluation of 1,000, by batch size
PEER_START, START = 5.0, 8.0  # imports; ours starts workers as well
PEER_TRIAL, TRIAL = 0.6, 0.25  # beside training: a plain run draws its curves.png
SHARED = 1.1  # what an epoch takes longer beside a second worker
TPE = {"_target_": "optuna.samplers.TPESampler"}
Found = list[tuple[float, float]]  # when a complete trial ended, and its value


def hyperband(least: int = 1) -> BasePruner:
    return HyperbandPruner(min_resource=least, max_resource=EPOCHS, reduction_factor=3)


def halving(least: int = 1, factor: int = 3) -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=least, reduction_factor=factor)


SETTINGS: dict[str, tuple[dict[str, Any], Callable[[], BasePruner]]] = {
    "sweep=asha": (TPE, hyperband),
    "4 startup trials a bracket": ({**TPE, "n_startup_trials": 4}, hyperband),
    "first rung at 3": (TPE, lambda: hyperband(3)),
    "one successive halving": (TPE, halving),
    "one, first rung at 3": (TPE, lambda: halving(3)),
    "no pruning": (TPE, NopPruner),
}


@dataclass(frozen=True)
class Curve:
    rate: float  # log10
    batch: int
    warmup: float
    values: list[float]

    def distance(self, params: dict[str, Any]) -> float:
        rate, batch = abs(self.rate - math.log10(params["lr"])), abs(math.log2(self.batch / params["batch"]))
        return rate / 0.25 + 0.7 * batch + 2 * abs(self.warmup - params["warmup"])


def read(folder: Path) -> list[Curve]:
    found = []
    for file in sorted(folder.glob("[0-9]*/metrics.jsonl")):
        told = [json.loads(line)["metrics"] for line in file.read_text().splitlines()]
        values = [metrics["eval/accuracy"] for metrics in told if "eval/accuracy" in metrics]
        if len(values) == EPOCHS:
            config = json.loads((file.parent / "run.json").read_text())["config"]
            rate, warmup = math.log10(config["optimizer"]["lr"]), config["scheduler"]["warmup_ratio"]
            found.append(Curve(rate, config["per_device_train_batch_size"], warmup, values))
    return found


def drawn(trial: optuna.Trial, curves: list[Curve], luck: random.Random) -> tuple[list[float], float]:
    """The trial's curve, and the seconds of one of its epochs."""
    params: dict[str, Any] = {
        "lr": trial.suggest_float("lr", 1e-5, 3e-3, log=True),
        "batch": trial.suggest_categorical("batch", list(EPOCH_SECONDS)),
        "warmup": trial.suggest_float("warmup", 0, 0.2),
    }
    trial.suggest_categorical("decay", [0.0, 0.01, 0.1])
    near = sorted(curves, key=lambda curve: curve.distance(params))[:3]
    (chosen,) = luck.choices(near, [1 / (curve.distance(params) + 0.15) for curve in near])
    return chosen.values, EPOCH_SECONDS[params["batch"]]


def peer(curves: list[Curve], seed: int, trials: int) -> tuple[Found, float]:
    """One trial after the other, none pruned; and the seconds of all."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    now, found, luck = PEER_START, [], random.Random(seed)
    for _ in range(trials):
        trial = study.ask()
        values, epoch = drawn(trial, curves, luck)
        now += PEER_TRIAL + EPOCHS * epoch
        study.tell(trial, max(values))
        found.append((now, max(values)))
    return found, now


def ours(
    curves: list[Curve], seed: int, trials: int, sampler: dict[str, Any], pruner: BasePruner, workers: int = 2
) -> tuple[Found, float, float]:
    """Trials as workers run them side by side; the seconds of all, and the share of all epochs that was trained."""
    study = optuna.create_study(study_name=f"study {seed}", direction="maximize", pruner=pruner)
    luck, begun, epochs = random.Random(seed + 1000), 0, 0
    found: Found = []
    # By time: a worker that is free (None), or whose trial has trained one more epoch.
    events: list[tuple[float, int, Any]] = [(START, worker, None) for worker in range(workers)]
    now = START
    while events:
        now, worker, running = heapq.heappop(events)
        if running is None:
            if begun == trials:
                continue
            study.sampler = make_sampler({**sampler, "seed": seed}, "", begun, None)
            begun += 1
            trial = study.ask()
            running = (trial, *drawn(trial, curves, luck), 0)
            now += TRIAL
        else:
            trial, values, _, done = running
            epochs += 1
            trial.report(values[done - 1], done)
            ended, pruned = done == EPOCHS, done < EPOCHS and trial.should_prune()
            if ended:
                study.tell(trial, max(values))
                found.append((now, max(values)))
            elif pruned:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            if ended or pruned:
                heapq.heappush(events, (now, worker, None))
                continue
        trial, values, epoch, done = running
        heapq.heappush(events, (now + SHARED * epoch, worker, (trial, values, epoch, done + 1)))
    return found, now, epochs / (trials * EPOCHS)


def reached(found: Found, value: float) -> float | None:
    return min((when for when, had in found if had >= value), default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("curves", type=Path)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--only", nargs="+", default=list(SETTINGS))
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    curves = read(asked.curves)
    peers = [peer(curves, seed, asked.trials) for seed in range(asked.studies)]
    targets = [max(value for _, value in found) - TOLERANCE for found, _ in peers]
    theirs = [reached(found, target) or math.inf for (found, _), target in zip(peers, targets, strict=True)]
    lines = [
        f"{len(curves)} curves, {asked.studies} study seeds of {asked.trials} trials; the peer has its best after "
        f"{statistics.fmean(theirs):.0f} of {statistics.fmean(whole for _, whole in peers):.0f} s (means)",
        "",
        "| ours | s to that best, mean | times as fast | by seed, quartiles | never | whole search | steps |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in asked.only:
        sampler, pruner = SETTINGS[name]
        told = [ours(curves, seed, asked.trials, sampler, pruner()) for seed in range(asked.studies)]
        when = [reached(found, target) for (found, _, _), target in zip(told, targets, strict=True)]
        took = [2 * whole if one is None else one for one, (_, whole, _) in zip(when, told, strict=True)]
        low, middle, high = statistics.quantiles([a / b for a, b in zip(theirs, took, strict=True)], n=4)
        whole = statistics.median(a / b for (_, a), (_, b, _) in zip(peers, told, strict=True))
        lines.append(
            f"| {name} | {statistics.fmean(took):.0f} | {statistics.fmean(theirs) / statistics.fmean(took):.2f} | "
            f"{middle:.2f} ({low:.2f} to {high:.2f}) | {when.count(None)} | {whole:.2f} | "
            f"{statistics.median(share for _, _, share in told):.2f} |"
        )
    report("search_replay", lines, {})


if __name__ == "__main__":
    main()
