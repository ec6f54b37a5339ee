"""Reads the runs of the sources that the user names: folders, globs, W&B. A bad run hides no other run."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from exp.analysis import exchange
from exp.analysis.collection import Collection, Problem
from exp.analysis.index import Index, stamp
from exp.analysis.run_data import RunData, read_run
from exp.errors import ExpError, nearest
from exp.run.files import user_path

# Below this many runs an index saves nothing worth a file in the user's cache.
INDEX_FROM = 300


def collect(sources: list[str], index: Path | None = None) -> Collection:
    """All runs of all sources, each once, in the order given and then by path.

    `index`: where the cache of records lies (None: its usual place). Raises ExpError for a source that does
    not exist, and when nothing at all could be read.
    """
    found = Collection()
    folders: dict[str, None] = {}
    offline: dict[str, None] = {}
    for source in sources:
        if source.startswith("wandb:"):
            from exp.analysis.wandb_api import read_project

            read_project(source, found)
            continue
        for path in _expand(source):
            if path.is_file() and path.suffix == ".json" and path.name != "run.json":
                found.runs += exchange.read(path)
                continue
            before = len(folders) + len(offline) + len(found.problems)
            _walk(path, folders, offline, found.problems)
            if len(folders) + len(offline) + len(found.problems) == before and str(path) not in folders:
                found.problems.append(Problem(str(path), "holds no run"))
    _read_folders([Path(folder) for folder in folders], found, index)
    if offline:
        from exp.analysis.wandb_offline import read_offline

        read_offline([Path(file) for file in offline], found)
    found.runs = _once(found)
    if not found.runs:
        told = "; ".join(f"{problem.source}: {problem.why}" for problem in found.problems[:5])
        raise ExpError(f"no run could be read from {', '.join(sources)}" + (f" ({told})" if told else ""))
    return found


def _expand(source: str) -> Iterator[Path]:
    path = user_path(source)
    if path.exists():
        yield path
        return
    if any(sign in source for sign in "*?["):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (an absolute pattern is allowed here)
        if not matches:
            raise ExpError(f"nothing matches {source!r}")
        yield from (Path(match) for match in matches)
        return
    beside = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    raise ExpError(f"there is no {source!r}{nearest(path.name, beside) if beside else ''}")


def _walk(path: Path, folders: dict[str, None], offline: dict[str, None], problems: list[Problem]) -> None:
    """A folder with run.json is a run and is not searched further; a W&B log is a run of its own."""
    if path.is_file():
        if path.suffix == ".wandb":
            offline[str(path)] = None
        elif path.name == "run.json":
            folders[str(path.parent)] = None
        return
    pending = [str(path)]
    while pending:
        folder = pending.pop()
        names: dict[str, bool] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    names[entry.name] = entry.is_dir(follow_symlinks=False)
        except OSError as error:
            problems.append(Problem(folder, f"cannot be listed ({error.strerror})"))
            continue
        if "run.json" in names:
            folders[folder] = None
            continue
        logs = [name for name in names if name.endswith(".wandb")]
        if logs:
            offline.update((os.path.join(folder, name), None) for name in logs)  # noqa: PTH118
            continue
        if ".hydra" in names and "multirun.yaml" not in names:
            problems.append(Problem(folder, "was started but left no run.json"))
            continue
        below = [name for name, is_folder in names.items() if is_folder and not name.startswith(".")]
        pending.extend(os.path.join(folder, name) for name in sorted(below, reverse=True))  # noqa: PTH118


def _read_folders(folders: list[Path], found: Collection, index_path: Path | None) -> None:
    absolute = [folder.resolve() for folder in folders]
    index = Index(index_path) if index_path is not None or len(folders) >= INDEX_FROM else None
    known = index.load(absolute) if index else {}
    fresh = []
    for folder in absolute:
        at = stamp(folder) if index else ""
        held = known.get(str(folder))
        # A running run is read anew: whether its process lives is in no file.
        if held is not None and held[0] == at and held[1].status not in ("running", "died"):
            found.runs.append(held[1])
            continue
        try:
            run = read_run(folder)
        except ExpError as error:
            found.problems.append(Problem(str(folder), str(error)))
        except Exception as error:  # a damaged record may break anything, and must hide no other run
            found.problems.append(Problem(str(folder), f"{type(error).__name__}: {error}"))
        else:
            found.runs.append(run)
            fresh.append((at, run))
    if index:
        index.save(fresh)
        index.close()


def _once(found: Collection) -> list[RunData]:
    """Overlapping sources name a run twice; a copied folder and a synced W&B run have its id too."""
    first: dict[str, RunData] = {}
    for run in found.runs:
        held = first.setdefault(run.id, run)
        if held is not run and held.source != run.source:
            found.problems.append(Problem(run.source, f"is run {run.id} again, counted once ({held.source})"))
    return list(first.values())
