"""What `make bench` runs: short forms of the benchmarks, as one table and one JSON; and two JSONs compared.

python -m benchmarks.suite                                        # writes benchmarks/results/bench.json
python -m benchmarks.suite --glue <GLUE's MRPC>                    # MiniLM on MRPC besides
python -m benchmarks.suite --compare old.json new.json             # nothing is run
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import machine

RESULTS = Path(__file__).parent / "results"


def parts(glue: Path | None) -> dict[str, list[str]]:
    """Module and arguments: minutes on two cores that have nothing else to do."""
    found = {
        "startup": ["--rounds", "3"],
        "step_time": ["--models", "bert_tiny", "--rounds", "8", "--chunk", "20"],
        "memory": ["--models", "bert_tiny", "--steps", "60"],
        "evaluation": ["--rounds", "3"],
    }
    if glue is not None:
        found["step_time"] = ["--glue", str(glue), "--models", "minilm", "--rounds", "6"]
        found["memory"] = ["--glue", str(glue), "--models", "minilm", "--steps", "40"]
    return found


def measured(node: Any, name: str = "") -> Iterator[tuple[str, list[float]]]:
    """Every list of numbers in a benchmark's JSON, by its dotted place."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from measured(value, f"{name} / {key}" if name else str(key))
    elif isinstance(node, int | float):
        yield name, [float(node)]
    elif isinstance(node, list) and node and all(isinstance(value, int | float) for value in node):
        yield name, [float(value) for value in node]


def run(glue: Path | None) -> None:
    rows: dict[str, list[float]] = {}
    begun = time.perf_counter()
    for module, arguments in parts(glue).items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"{module} ...", file=sys.stderr, flush=True)
            command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", *arguments]
            environment = {**os.environ, "BENCHMARK_RESULTS": folder}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
            found = json.loads((Path(folder) / f"{module}.json").read_text())
        found.pop("machine")
        rows |= {f"{module} / {name}": values for name, values in measured(found)}
    facts = machine()
    print(f"{facts['date']}, {facts['cpu']}, {facts['threads']} threads, torch {facts['packages']['torch']}\n")
    print("| measured | median | lowest | highest | values |\n| --- | --- | --- | --- | --- |")
    for name, values in rows.items():
        print(f"| {name} | {statistics.median(values):.4g} | {min(values):.4g} | {max(values):.4g} | {len(values)} |")
    minutes = (time.perf_counter() - begun) / 60
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bench.json").write_text(json.dumps({"machine": facts, "minutes": minutes, "rows": rows}, indent=1))
    print(f"\n{minutes:.1f} minutes; {RESULTS / 'bench.json'}")


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Markdown: the medians of what both measured, and new over old; `apart` where no value of one lies among the
    other's."""
    lines = ["| measured | old | new | new / old | |", "| --- | --- | --- | --- | --- |"]
    for name, values in new["rows"].items():
        before = old["rows"].get(name)
        if before is None:
            continue
        one, other = statistics.median(before), statistics.median(values)
        apart = min(len(before), len(values)) > 2 and (max(before) < min(values) or max(values) < min(before))
        ratio = f"{other / one:.2f}" if one else ""
        lines.append(f"| {name} | {one:.4g} | {other:.4g} | {ratio} | {'apart' if apart else ''} |")
    told = [f"{key}: {old['machine'].get(key)} and {new['machine'].get(key)}" for key in ("cpu", "threads", "python")]
    differing = [one for one in told if len(set(one.partition(": ")[2].split(" and "))) > 1]
    versions = [side["machine"]["packages"] for side in (old, new)]
    for package in sorted(set(versions[0]) | set(versions[1])):
        if versions[0].get(package) != versions[1].get(package):
            differing.append(f"{package} {versions[0].get(package)} and {versions[1].get(package)}")
    return [*lines, "", "Not the same: " + ("; ".join(differing) or "nothing that was recorded")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path)
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"))
    asked = parser.parse_args()
    if asked.compare:
        print("\n".join(difference(*(json.loads(path.read_text()) for path in asked.compare))))
    else:
        run(asked.glue)


if __name__ == "__main__":
    main()
