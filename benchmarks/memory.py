"""Peak memory of each loop in a process of its own.

python -m benchmarks.memory --glue <GLUE folder>
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.harness import alternate, report, show

CODE = """
import resource, sys, tempfile
from pathlib import Path
from benchmarks.step_time import contenders, words_of
model, glue, name, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
with tempfile.TemporaryDirectory() as folder:
    words = words_of(model, Path(glue) if glue else None, 8, Path(folder))
    contenders(words, steps, [name])[name]()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
NAMES = ["tutorial", "Trainer", "loop=accelerate", "loop=trainer", "speed=fast"]


def peak(model: str, glue: str, name: str, steps: int) -> float:
    """Megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, model, glue, name, str(steps)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", nargs="+", default=NAMES)
    asked = parser.parse_args()
    lines: list[str] = []
    data = {}
    for model in ["minilm"] if asked.glue else ["bert_tiny"]:
        runs = {name: partial(peak, model, str(asked.glue or ""), name, asked.steps) for name in asked.only}
        data[model] = alternate(runs, rounds=2, warmup=0)
        lines += show(f"Peak memory, {model}", data[model], "MB", asked.only[0])
    report("memory", lines, {"megabytes": data})


if __name__ == "__main__":
    main()
