"""Contenders in turn, A B A B, in one process on one machine: medians, ratios pair by pair, and their spread."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from exp.run.environment import hardware, packages

Measure = Callable[[], float]  # runs once and returns what is measured; larger or smaller is better


def alternate(contenders: Mapping[str, Measure], rounds: int, warmup: int = 1) -> dict[str, list[float]]:
    """`rounds` values a contender, one of each a round, so that a drift of the machine meets all of them."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(-warmup, rounds):
        for name, measure in contenders.items():
            value = measure()
            if number >= 0:
                values[name].append(value)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return values


def ratios(values: Mapping[str, list[float]], name: str, base: str) -> list[float]:
    return [one / other for one, other in zip(values[name], values[base], strict=True)]


def show(title: str, values: Mapping[str, list[float]], unit: str, base: str) -> list[str]:
    """Markdown: median, and the ratio to `base` as median (lowest to highest)."""
    lines = [f"### {title}", "", f"| contender | {unit}, median | ratio to {base} |", "| --- | --- | --- |"]
    for name, found in values.items():
        over = ratios(values, name, base)
        spread = f"{statistics.median(over):.2f} ({min(over):.2f} to {max(over):.2f})"
        lines.append(f"| {name} | {statistics.median(found):.2f} | {spread} |")
    return [*lines, ""]


def machine() -> dict[str, Any]:
    import torch

    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        **hardware(),
        "packages": packages(),
    }


def report(name: str, lines: list[str], data: Mapping[str, Any], quiet: bool = False) -> None:
    """Prints unless `quiet`, and leaves JSON in benchmarks/results/ (ignored by git; RESULTS.md keeps what is quoted),
    or in the folder that $BENCHMARK_RESULTS names."""
    facts = machine()
    head = f"`python -m benchmarks.{name} {' '.join(sys.argv[1:])}`".replace(" `", "`")
    told = f"{facts['date']}, {facts['cpu']}, {facts['threads']} threads, torch {facts['packages']['torch']}"
    if not quiet:
        print("\n".join([head, "", told, "", *lines]))
    folder = Path(os.environ.get("BENCHMARK_RESULTS") or Path(__file__).parent / "results")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"machine": facts, **data}, indent=1))
