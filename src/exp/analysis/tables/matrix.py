"""What a dry run of a table says: how far each cell is, as a matrix, and the command of each run that is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exp.analysis.tables.plan import PlannedRun, TablePlan
from exp.run.said import command

STATES = ("found", "running", "missing", "waiting", "failed")


def matrix(plan: TablePlan) -> str:
    """Rows down, columns across, `2 found, 1 missing` in each cell; a cell of no run is empty."""
    rows = list(dict.fromkeys(row for row, _ in plan.cells))
    columns = list(dict.fromkeys(column for _, column in plan.cells))
    lines = [["", *columns]]
    for row in rows:
        lines.append([row, *(_cell(plan, row, column) for column in columns)])
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    shown = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(shown)


def _cell(plan: TablePlan, row: str, column: str) -> str:
    if (row, column) not in plan.cells:
        return ""
    counts = Counter(job.state for job in plan.of_cell(row, column))
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "no run"


def commands(plan: TablePlan, chosen: Sequence[PlannedRun]) -> list[str]:
    """One line a run, its command as it can be typed; where it waits for other weights, their path is still missing."""
    flags = [] if plan.table.config_dir is None else ["--config-dir", str(plan.table.config_dir)]
    return [
        f"{job.state:<8} {job.cell}: {command('train', *flags, *job.words, processes=_processes(job.words))}"
        for job in chosen
    ]


def _processes(words: Sequence[str]) -> int:
    asked = [word.partition("=")[2] for word in words if word.lstrip("+").startswith("distributed.processes=")]
    return int(asked[-1]) if asked and asked[-1].isdecimal() else 1
