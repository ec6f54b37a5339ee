"""From a plan to what runs now, and from runs to the written table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from exp.analysis import exchange
from exp.analysis.table import Table
from exp.analysis.tables import footer, html, matrix, picture, render, tex
from exp.analysis.tables.plan import PlannedRun, TablePlan, seconds_left
from exp.analysis.tables.results import CellResult, results
from exp.errors import ExpError
from exp.run.files import write_atomic, write_json
from exp.run.said import counted

FORMS = ("md", "tex", "csv", "html")


def plan_summary(plan: TablePlan) -> str:
    """One line: how many runs exist and are missing, and what the missing ones will cost."""
    told = ", ".join(
        f"{plan.count(state)} {state}"
        for state in ("found", "running", "missing", "waiting", "failed")
        if plan.count(state)
    )
    size = f"{counted(len(plan.cells), 'cell')}, {counted(len(plan.jobs), 'run')}"
    text = f"table {plan.table.name}: {size}: {told or 'none'}"
    if plan.count("missing") + plan.count("waiting"):
        text += f"; {picture.told(seconds_left(plan))}"
    return text


def print_plan(plan: TablePlan, chosen: Sequence[PlannedRun]) -> None:
    """How far each cell is, and the command of each run."""
    print("\n".join([matrix.matrix(plan), "", *matrix.commands(plan, chosen)]))


def write(
    plan: TablePlan,
    folder: Path,
    extra: Callable[[TablePlan, Sequence[CellResult]], list[Table]] | None,
    bold: bool = False,
) -> None:
    """table.md, .tex, .csv and .html in `folder`, and the table on the terminal.

    Args:
        plan: with the runs that were found.
        folder: where the files go.
        extra: more tables to show below it.
        bold: the best of each column is set in bold, in Markdown and LaTeX.
    """
    from rich.console import Console

    table, found = plan.table, results(plan)
    notes = footer.lines(plan, found)
    looks = extra(plan, found) if extra else []
    render.show(table, found, notes, looks, Console(width=None if sys.stdout.isatty() else 10_000))
    texts = {
        "md": render.markdown(table, found, notes, looks, bold),
        "tex": tex.latex(table, found, notes, bold),
        "csv": render.csv_text(table, found),
        "html": html.write(table, found, notes, looks),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form in FORMS:
            write_atomic(folder / f"table.{form}", texts[form])
        write_json(folder / "results.json", exchange.of_table(table.name, found))
    except OSError as error:
        raise ExpError(f"cannot write {folder}: {error.strerror}; choose another with folder=...") from None
    print(f"wrote {folder}/table.{{{','.join(FORMS)}}} and results.json")


def chosen_runs(plan: TablePlan, most: int | None) -> list[PlannedRun]:
    """Jobs of the first `most` cells that miss any, with what they start from."""
    if most is None:
        return plan.jobs
    jobs: list[PlannedRun] = []
    cells = 0
    for row, column in plan.cells:
        open_jobs = [job for job in plan.of_cell(row, column) if job.state in ("missing", "waiting", "running")]
        if not open_jobs or cells == most:
            continue
        cells += 1
        for job in open_jobs:
            for one in (job.after, job):
                if one is not None and one not in jobs:
                    jobs.append(one)
    return jobs
