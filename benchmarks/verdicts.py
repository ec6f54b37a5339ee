"""Trains the embedded task into states that are known, and prints the confusion matrix of verdict against truth.

    python benchmarks/verdicts.py [--seeds 10] [--first 1] [--keep FOLDER]

`--first`: the first seed; a threshold that was changed after looking at some seeds is judged by others.

Exits with 1 where fewer than 90% are right, or where a healthy run is called broken.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from exp.curves.verdict import BROKEN, STATES, Thresholds


def _freeze(model: Any) -> None:
    """Random features: only the head is trained."""
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(False)


@dataclass(frozen=True)
class Truth:
    """`right`: the verdicts that are true of such a run."""

    name: str
    overrides: tuple[str, ...]
    right: tuple[str, ...]
    change: Callable[[Any], None] | None = None
    cut_at: float = 1.0  # accuracy at which the run is cut off


class Cut:
    """Ends a run at the first evaluation that reaches a value: what it was doing then is known."""

    study = None

    def __init__(self, value: float) -> None:
        self.limit = value
        self.reached = False

    def report(self, value: float, step: int) -> None:
        self.reached = value >= self.limit

    def should_prune(self) -> bool:
        return self.reached


ALWAYS = ("tracker=none", "eval_strategy=steps")
TRUTHS = (
    Truth("good recipe", ("eval_steps=62",), ("converged", "healthy")),
    Truth("rate too high", ("optimizer.lr=0.05", "max_steps=300", "eval_steps=30"), ("unstable",)),
    Truth("frozen model", ("max_steps=300", "eval_steps=30"), ("underfitting",), _freeze),
    Truth(
        "tiny data, many epochs",
        ("data.max_train_samples=64", "num_train_epochs=100", "eval_steps=20"),
        ("overfitting",),
    ),
    # Half way from guessing (0.51) to what the good recipe reaches (0.96).
    Truth("too few steps", ("eval_steps=20",), ("improving", "insufficient"), cut_at=0.73),
)


def train(folder: Path, truth: Truth, seed: int) -> None:
    """A run in this process: imports and tokenizing are paid once for all of them."""
    from hydra import compose
    from omegaconf import OmegaConf

    from exp.loop import outputs
    from exp.run.folder import create
    from exp.saved.finished import whitelisted
    from exp.tracker.jsonl import JsonlTracker
    from exp.training.build import build, build_loop

    composed = compose("train", overrides=[*ALWAYS, *truth.overrides, f"seed={seed}"])
    config: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    folder.mkdir(parents=True)
    run = create(folder, config)
    tracker = JsonlTracker()
    tracker.start(run)
    with whitelisted():
        parts = build(config)
        if truth.change:
            truth.change(parts.model)
        outputs.describe(parts, run)
        result = build_loop(config).fit(parts, run, tracker, Cut(truth.cut_at))
    run.finish(result.status, result.reason)
    tracker.finish(result.status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--only", help="part of a state's name")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the runs here, to look at them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return measure(options.keep or Path(scratch), range(options.first, options.first + options.seeds), options.only)


def measure(root: Path, seeds: range, only: str | None) -> int:
    from hydra import initialize_config_dir

    from exp.curves.picture import draw
    from exp.curves.summary import read
    from exp.options.confdir import conf_dir

    logging.disable(logging.INFO)
    matrix: dict[str, Counter[str]] = {}
    begun = time.perf_counter()
    right = total = called_broken = 0
    with initialize_config_dir(str(conf_dir())):
        for truth in TRUTHS:
            if only and only not in truth.name:
                continue
            seen = matrix.setdefault(truth.name, Counter())
            for seed in seeds:
                folder = root / truth.name.replace(" ", "-").replace(",", "") / str(seed)
                if not (folder / "run.json").exists():
                    train(folder, truth, seed)
                summary = read(folder, Thresholds())
                title = f"{truth.name}, seed {seed}"
                draw(summary.curve, summary.verdict, folder / "curves.png", title, summary.facts)
                seen[summary.verdict.state] += 1
                total += 1
                right += summary.verdict.state in truth.right
                called_broken += truth is TRUTHS[0] and summary.verdict.state in BROKEN
    show(matrix)
    print(
        f"right: {right} of {total} ({right / total:.0%}, at least 90% wanted); healthy called broken: {called_broken}"
    )
    print(f"{time.perf_counter() - begun:.0f} s")
    return 0 if right >= 0.9 * total and not called_broken else 1


def show(matrix: dict[str, Counter[str]]) -> None:
    print(f"{'truth / verdict':24}" + "".join(f"{state:>14}" for state in STATES))
    for truth in TRUTHS:
        if truth.name in matrix:
            cells = (f"{matrix[truth.name][s] or '.'}" + ("*" if s in truth.right else "") for s in STATES)
            print(f"{truth.name:24}" + "".join(f"{cell:>14}" for cell in cells))
    print("*: right")


if __name__ == "__main__":
    raise SystemExit(main())
