"""The studies and tables that lie below a folder, as their storages tell of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from exp.errors import ExpError, nearest
from exp.run.secrets import HIDDEN
from exp.work.detached import living_coordinator, living_workers
from exp.work.folder import MARK
from exp.work.settings import WorkPlan
from exp.work.storage import opening_errors, quiet_optuna
from exp.work.storage_file import storage_path
from exp.work.trial_queue import TrialQueue, open_queue

DEEPEST = 3  # folders down: multirun/tables/<name>/study.json


@dataclass(frozen=True)
class StudyState:
    """How a study is going. `problem` says why its storage could not be asked."""

    name: str
    folder: Path
    kind: str = "search"
    states: Counter[str] | None = None
    workers: int = 0
    detached: bool = False
    problem: str | None = None


def study_folders(homes: Iterable[Path]) -> Iterator[Path]:
    """Folders with a study's mark, oldest first."""
    marks = {mark for home in homes for depth in range(DEEPEST) for mark in home.glob("*/" * depth + MARK)}
    yield from (mark.parent for mark in sorted(marks, key=lambda mark: mark.stat().st_mtime))


def find(name: str, homes: Iterable[Path]) -> Path:
    """The folder of a study, by its name or path. Raises ExpError where there is none, or several."""
    if (Path(name) / MARK).exists():
        return Path(name)
    held = {folder: _mark(folder)[0] for folder in study_folders(homes)}
    found = [folder for folder, known in held.items() if name in (known, folder.name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ExpError(f"{name}: {len(found)} studies have that name: {', '.join(map(str, found))}; give the folder")
    raise ExpError(
        f"{name}: no study here has that name{nearest(name, list(held.values()))}; exp runs studies lists them"
    )


def open_study(folder: Path, storage: str | None = None) -> TrialQueue:
    """Its queue, for looking and stopping.

    Args:
        storage: Where the study is kept, if that cannot be written down because of its password.

    Raises:
        ExpError: The storage cannot be opened, or does not know the study.
    """
    name, kept = _mark(folder)
    where = storage or kept
    if where is not None and HIDDEN in where:
        raise ExpError(f"study {name} is kept in {where}: give its address with storage=...")
    file = storage_path(where, folder)
    if file is not None and not file.exists():  # opening it would make it, wherever the mark says
        raise ExpError(f"study {name} was kept in {file}, which is not there; say where it is with storage=...")
    plan = WorkPlan(name, where, folder, n_trials=None, only=None, retries=0, beat_every=10.0, stale_after=60.0)
    with opening_errors(where, folder):
        try:
            return open_queue(plan)
        except KeyError:
            raise ExpError(f"{folder}: its storage does not know the study {name}") from None


def state_of(folder: Path) -> StudyState:
    with quiet_optuna():
        name = folder.name
        try:
            name = _mark(folder)[0]
            queue = open_study(folder)
            kind = "table" if "table" in queue.study.user_attrs else "search"
            states = Counter(trial.state.name.lower() for trial in queue.trials())
            detached = living_coordinator(queue) is not None
            return StudyState(name, folder, kind, states, len(living_workers(queue)), detached)
        except ExpError as error:
            return StudyState(name, folder, problem=str(error))


def _mark(folder: Path) -> tuple[str, str | None]:
    try:
        held = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return str(held["study_name"]), held.get("storage")  # older marks hold the name alone
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ExpError(f"{folder / MARK} is damaged") from None
