"""What checkpoints cost: against writing the same bytes, and resuming against starting.

python -m benchmarks.checkpoint
python -m benchmarks.checkpoint --glue <GLUE's MRPC>         # and what saving every 50 steps costs a training of MiniLM
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.contenders import config_of, parts_of
from benchmarks.harness import alternate, report, show
from benchmarks.step_time import minilm, words_of
from benchmarks.turns import take_turns
from exp.loop import checkpoint as checkpoints


def timed(call) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def saving(folder: Path) -> dict[str, list[float]]:
    """Seconds of one checkpoint of MiniLM after a step of AdamW, and of writing and syncing as many bytes."""
    parts = parts_of(config_of(["model=pretrained", f"model.path={minilm()}", "data.max_train_samples=64"]))
    optimizer = parts.optimizer(parts.model)
    parts.model(**parts.collator([parts.encoded.train[i] for i in range(8)])).loss.backward()
    optimizer.step()
    training = {"optimizer": optimizer.state_dict()}

    def save() -> None:
        checkpoints.save(folder / "saved", {"step": 1}, checkpoints.weights_of(parts.model), training)

    save()
    size = sum(file.stat().st_size for file in (folder / "saved" / "step-000001").iterdir())
    content = os.urandom(size)

    def write() -> None:
        with (folder / "bytes").open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    print(f"a checkpoint has {size / 1e6:.0f} MB", file=sys.stderr)
    return alternate({"write and sync": lambda: timed(write), "checkpoint": lambda: timed(save)}, rounds=7)


def starting(folder: Path) -> dict[str, list[float]]:
    """Seconds of a whole process that makes two steps: from nothing, and from a checkpoint of step 2 of 4."""
    quick = [
        "tracker=none",
        "data.max_train_samples=64",
        "data.max_eval_samples=8",
        "eval_strategy=no",
        "scheduler=constant",
    ]
    count = 0

    def run(*words: str) -> float:
        return timed(
            lambda: subprocess.run([sys.executable, "-m", "exp.train", *words], capture_output=True, check=True)
        )

    def fresh() -> float:
        nonlocal count
        count += 1
        place = f"hydra.run.dir={folder / str(count)}"
        return run(*quick, "max_steps=2", "save_strategy=steps", "save_steps=2", place)

    return alternate(
        {"fresh start": fresh, "resume": lambda: run(f"resume={folder / str(count)}", "max_steps=4")}, rounds=4
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path)
    glue = parser.parse_args().glue
    data = {}
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        data["saving"] = saving(Path(folder))
        lines += show("A checkpoint of MiniLM", data["saving"], "seconds", "write and sync")
        data["starting"] = starting(Path(folder))
        lines += show("Two steps, launch to end", data["starting"], "seconds", "fresh start")
        if glue:  # a turn of 50 steps has one checkpoint
            names = ["loop=accelerate", "saving every 50 steps"]
            data["training"], _ = take_turns(names, words_of("minilm", glue, 8, Path(folder)), chunk=50, rounds=4)
            lines += show("50 steps of MiniLM on MRPC", data["training"], "seconds", names[0])
    report("checkpoint", lines, data)


if __name__ == "__main__":
    main()
