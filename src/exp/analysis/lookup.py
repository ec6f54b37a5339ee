"""Runs as a user names them: a folder, or the beginning of an id or a condition."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from exp.analysis.collect import collect
from exp.analysis.collection import Collection
from exp.analysis.run_data import RunData, read_run
from exp.errors import ExpError
from exp.options import project


def found_in(sources: list[str]) -> Collection:
    homes = sources or [str(home) for home in project.homes() if home.is_dir()]
    if not homes:
        raise ExpError(f"there is no {' or '.join(map(str, project.homes()))} here; name a folder")
    return collect(homes)


def one_run(name: str, home: list[str]) -> RunData:
    """A run folder, or the run whose id or condition begins with `name`."""
    if (Path(name) / "run.json").exists():
        return read_run(Path(name).resolve())
    if Path(name).is_dir():
        raise ExpError(f"{name} is no run folder: it holds no run.json")
    found = [run for run in found_in(home).runs if run.folder and matches(run, name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ExpError(f"no run folder and no id or condition {name!r}; exp runs list shows what there is")
    raise ExpError(f"{name!r} fits {len(found)} runs: " + ", ".join(run.source for run in found[:8]))


def several_runs(names: Iterable[str], home: list[str], folders: bool = False) -> list[RunData]:
    """The runs that are named, each once. `folders`: a folder that is no run stands for all runs below it."""
    found: dict[str, RunData] = {}
    for name in names:
        path = Path(name)
        above = folders and path.is_dir() and not (path / "run.json").exists()
        runs = [run for run in collect([name]).runs if run.folder] if above else [one_run(name, home)]
        found |= {run.source: run for run in runs}
    return list(found.values())


def matches(run: RunData, text: str) -> bool:
    return run.id.startswith(text) or run.condition.startswith(text) or text in run.source


def best_text(run: RunData) -> str:
    if run.objective and run.objective in run.best:
        point = run.best[run.objective]
        return f"{run.objective} {point.value:.4f} @{point.step}"
    return "-"
