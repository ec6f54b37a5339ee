"""Peak memory of training, each loop in a process of its own: resident memory, or the GPU's where there is one.

python -m benchmarks.memory --glue <GLUE's MRPC>             # without --glue: bert_tiny on the embedded data
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.harness import report, show
from benchmarks.step_time import words_of
from benchmarks.turns import take_turns

NAMES = ["tutorial", "Trainer", "loop=accelerate", "loop=trainer", "speed=fast"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100, help="long enough to meet long batches")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=NAMES, help="the first is the base")
    asked = parser.parse_args()
    lines: list[str] = []
    data = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in asked.models or (["minilm"] if asked.glue else ["bert_tiny"]):
            words = words_of(model, asked.glue, asked.batch, Path(folder))
            # One after the other: the machine need not hold all of them.
            found = {name: take_turns([name], words, asked.steps // 2, 1) for name in asked.only}
            peaks = {name: one[1][name] / 1e6 for name, one in found.items()}
            title = f"{model}, batch {asked.batch}, peak memory of {asked.steps} steps"
            lines += show(title, {name: [peak] for name, peak in peaks.items()}, "MB", asked.only[0])
            rates = {name: [asked.steps // 2 / one[0][name][0]] for name, one in found.items()}
            lines += show(f"{title}: speed, measured one after the other", rates, "steps/s", asked.only[0])
            data[model] = peaks
    report("memory", lines, {"megabytes": data})


if __name__ == "__main__":
    main()
