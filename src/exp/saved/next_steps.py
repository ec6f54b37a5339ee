"""What can be done next: with a finished run, the last lines of a training; and in a folder, what `exp` alone says."""

from __future__ import annotations

import shlex
from pathlib import Path

from exp.errors import ExpError
from exp.options.project import homes, project
from exp.run.folder import read_record
from exp.run.lock import is_locked
from exp.run.result import read_result
from exp.run.said import command, near


def left(folder: Path) -> str:
    """`outputs/mine: curves.png, predictions/eval.parquet, errors/eval.csv, model/`."""
    found = [name for name in ("curves.png",) if (folder / name).is_file()]
    for pattern in ("predictions/*.parquet", "errors/*.csv"):
        found += [str(path.relative_to(folder)) for path in sorted(folder.glob(pattern))]
    if (folder / "model").is_dir():
        found.append("model/")
    return f"{near(folder)}: {', '.join(found)}"


def next_steps(folder: Path) -> list[str]:
    """Commands, as they can be typed now."""
    place = near(folder)
    return [
        f"predict: {command('predict', place)}",
        f"compare: {command('compare', near(folder.parent))}",
    ]


def here() -> list[str]:
    """What is in this folder, a project or runs, and a command a line for what comes next.

    Raises ExpError for a pyproject.toml whose [tool.exp] cannot be read.
    """
    found, run = project(), newest_run(homes())
    told = []
    if found.folder is not None:
        named = sorted(path.stem for path in (found.conf or found.folder).glob("experiment/*.yaml"))
        told += [f"the project {found.folder.name}:"]
        told += [_step(f"exp train experiment={named[0]}", f"train; experiments: {', '.join(named)}")] if named else []
        told += [_step("exp parts", "what it adds to exp")]
    if run is not None:
        place = shlex.quote(near(run))
        status = read_record(run)["status"]
        told += [f"the newest run, {status}{_best(run)}:"]
        if status == "completed":
            told += [_step(f"exp predict {place}", "its model on a sentence that you type")]
            told += [_step(f"exp curves {place}", "its learning curve, read for you")]
        elif status == "running" and is_locked(run):
            told += [_step(f"exp runs tail {place}", "its numbers as they come")]
        else:
            stopped = status in ("interrupted", "running")
            told += [_step(f"exp train resume={place}", "go on with it, from its last checkpoint")] if stopped else []
            told += [_step(f"exp runs show {place}", "how it went")]
        told += [_step("exp runs list", "all runs here"), _step("exp compare", "what differed, and what it did")]
    else:
        told += ["no runs here yet:"]
        told += [_step("exp data data=reviews", "look at rows as a model would be shown them")]
        told += [_step("exp train", "a first run: generated reviews, a small BERT, no network; some minutes")]
        told += [_step("exp train model=minilm_l6 --cfg job", "what a command would train, without training")]
        told += [_step("exp init myproject", "a project with code of your own")] if found.folder is None else []
    return told


def newest_run(places: list[Path]) -> Path | None:
    """The newest of outputs' and multirun's newest days; folders are named by time, so that few are looked at."""
    found = [path.parent for place in places for path in _newest(place)]
    readable = []
    for folder in found:
        try:
            readable.append((str(read_record(folder)["created"]), folder))
        except (ExpError, KeyError):
            continue
    return max(readable)[1] if readable else None


def _best(run: Path) -> str:
    """Of its objective; a run that measured none has null there."""
    objective = (read_result(run / "result.json") or {}).get("objective", {})
    value = objective.get("value")
    return "" if value is None else f", {objective.get('name')} {value:.4g}"


def _newest(place: Path) -> list[Path]:
    """run.json files in the last folder below `place`, by name, that holds any, up to three levels down."""
    if not place.is_dir():
        return []
    for folder in sorted((path for path in place.iterdir() if path.is_dir()), reverse=True):
        found = [*folder.glob("run.json"), *folder.glob("*/run.json"), *folder.glob("*/*/run.json")]
        if found:
            return found
    return []


def _step(words: str, what: str) -> str:
    return f"  {words:<44} {what}"
