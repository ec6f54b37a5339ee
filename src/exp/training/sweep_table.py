"""The end of a plain --multirun: a table of its runs, and how to compare them."""

from __future__ import annotations

from pathlib import Path

from exp.errors import ExpError
from exp.run.said import command, near


def told(folder: Path, since: float) -> str:
    """One line a run that was started after `since` (seconds of the epoch), in the order of their folders.

    Returns:
        The table and the command that compares the runs; nothing where there is none.
    """
    from exp.analysis.collect import collect
    from exp.analysis.run_data import RunData

    def place(run: RunData) -> tuple[int, str]:
        name = Path(run.source).name
        return (int(name) if name.isdigit() else -1, name)

    try:
        found = collect([str(folder)]).runs
    except ExpError:  # no run came as far as its record
        return ""
    runs = sorted((run for run in found if _written(run.source) >= since), key=place)
    if not runs:
        return ""
    words = {run.id: _words(run.source) for run in runs}
    shared = set.intersection(*(set(some) for some in words.values())) if len(runs) > 1 else set()
    lines = [["run", "what differs", "status", "best", "step"]]
    for run in runs:
        best = run.best.get(run.objective or "")
        value = ["-", "-"] if best is None else [f"{run.objective} {best.value:.4f}", str(best.step)]
        what = " ".join(word for word in words[run.id] if word not in shared)
        lines.append([near(run.source), what, run.status, *value])
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    rows = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(["", *rows, f"compare: {command('compare', near(folder))}"])


def _words(source: str) -> list[str]:
    from exp.run.folder import read_record

    return list(read_record(Path(source)).get("words") or [])


def _written(source: str) -> float:
    return (Path(source) / "run.json").stat().st_mtime
