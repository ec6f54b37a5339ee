"""Optimizers against AdamW, each tuned by the same budget and judged on rows that tuned nothing.

python -m benchmarks.optimizers              # three rates x five seeds an optimizer, on generated reviews
python -m benchmarks.optimizers --out runs   # keeps the runs, and goes on where it was stopped
python -m benchmarks.optimizers --only adamw,muon

The rate is chosen by the mean of eval/accuracy over the seeds; the table shows test/accuracy at that rate, and its
difference from AdamW's over the same seeds: a t-interval, and the sign-flip test, which five seeds cannot bring below
0.0625. An optimizer whose best rate is the lowest or the highest of its three may have a better one outside of them: it
is marked.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import exp
from exp.analysis.stats import paired

SEEDS = (1, 2, 3, 4, 5)
# Three rates each, a factor of three apart, around what suits a small model that is trained from nothing.
OPTIMIZERS = {
    "adamw": (["optimizer=adamw"], (3e-4, 1e-3, 3e-3)),
    "muon": (["optimizer=muon"], (3e-4, 1e-3, 3e-3)),
    "schedule_free": (["optimizer=schedule_free"], (1e-3, 3e-3, 1e-2)),
    "Lion": (["optimizer=outside", "optimizer.name=Lion"], (1e-4, 3e-4, 1e-3)),
    "AdEMAMix": (["optimizer=outside", "optimizer.name=AdEMAMix"], (3e-4, 1e-3, 3e-3)),
}
RECIPE = (
    *("data=reviews", "data.train_size=2000", "data.eval_size=500", "data.test_size=1000", "model=bert_tiny"),
    *("model.hidden_size=64", "model.intermediate_size=128", "num_train_epochs=4", "per_device_train_batch_size=32"),
    *("do_predict=true", "eval_strategy=epoch", "tracker=none"),
)


def trained(folder: Path, words: list[str], lr: float, seed: int) -> dict[str, float]:
    """The last numbers of a run, which is made where it is not there yet."""
    result = folder / "result.json"
    if not result.exists():
        exp.train([*RECIPE, *words, f"optimizer.lr={lr}", f"seed={seed}", f"hydra.run.dir={folder}"])
    last = json.loads(result.read_text())["last"]
    return {key: last[key]["value"] for key in ("eval/accuracy", "test/accuracy")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=list(OPTIMIZERS), help="adamw is always there"
    )
    given = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as scratch:
        table(given.out or Path(scratch), [name for name in OPTIMIZERS if name in ("adamw", *given.only)])


def table(out: Path, names: list[str]) -> None:
    start = time.process_time()
    found = {
        name: {lr: {seed: trained(out / f"{name}-{lr:g}-{seed}", words, lr, seed) for seed in SEEDS} for lr in rates}
        for name in names
        for words, rates in [OPTIMIZERS[name]]
    }

    def dev(name: str, lr: float) -> float:
        return statistics.mean(one["eval/accuracy"] for one in found[name][lr].values())

    best = {name: max(rates, key=partial(dev, name)) for name, rates in found.items()}
    tests = {
        name: {seed: one["test/accuracy"] for seed, one in rates[best[name]].items()} for name, rates in found.items()
    }
    print("| optimizer | rates tried | best | test/accuracy, mean ± sd of 5 seeds | minus AdamW [95%] | p |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, rates in found.items():
        tried = ", ".join(f"{lr:g}" for lr in rates)
        edge = " (at the edge)" if best[name] in (min(rates), max(rates)) else ""
        scores = list(tests[name].values())
        row = [name, tried, f"{best[name]:g}{edge}", f"{statistics.mean(scores):.4f} ± {statistics.stdev(scores):.4f}"]
        against = paired(tests[name], tests["adamw"]) if name != "adamw" else None
        if against is None:
            row += ["", ""]
        else:
            row += [f"{against.mean:+.4f} [{against.low:+.4f}, {against.high:+.4f}]", f"{against.p:.3g}"]
        print("| " + " | ".join(row) + " |")
    print(f"\n{time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
