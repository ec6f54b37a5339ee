"""A table written down for the terminal, Markdown and CSV; tex.py and html.py have the other forms.

Every form shows ours, theirs and the verdict.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from exp.analysis import formats
from exp.analysis.table import Column, Table
from exp.analysis.tables.results import CellResult
from exp.analysis.tables.schema import PaperTable
from exp.analysis.tables.verdict import HIGHER, LOWER, REPRODUCED
from exp.metrics.best import directions_of, rises
from exp.metrics.key import Key

if TYPE_CHECKING:
    from rich.console import Console

NOTHING = "–"
UNVERIFIED = " unverified"  # behind a published value
# Signs stand beside words, so that neither colour nor font decides what is read.
SIGNS = {REPRODUCED: "=", HIGHER: "↑", LOWER: "↓"}
COLORS = {REPRODUCED: "green", HIGHER: "blue", LOWER: "red"}
FIELDS = (
    ("row", "row", "text"),
    ("column", "column", "text"),
    ("metric", "metric", "text"),
    ("ours", "ours", "value"),
    ("n", "n", "number"),
    ("published", "published", "value"),
    ("difference", "difference", "number"),
    ("verdict", "verdict", "text"),
    ("runs", "runs", "text"),
    ("why", "why", "text"),
)
CSV = (
    *("row", "column", "metric", "unit", "aggregate", "ours", "std", "n", "values"),
    *("published", "published_std", "published_n", "difference", "low", "high", "verdict", "why"),
    *("failed", "missing", "running", "degenerate", "point", "condition"),
)


def digits(table: PaperTable) -> int:
    return 2 if table.unit == "percent" else 4


def long(table: PaperTable, found: Sequence[CellResult], notes: Sequence[str]) -> Table:
    """One line a cell."""
    rows = tuple(tuple(fields(table, result)[key] for key, _, _ in FIELDS) for result in found)
    columns = tuple(Column(key, title, kind) for key, title, kind in FIELDS)
    return Table(f"{table.title}: cells", columns, rows, frozenset(), tuple(notes))


def heading(table: PaperTable, column: str) -> str:
    """A column's name with its metric, where the name does not hold it."""
    metric = Key.of(table.column(column).metric).short
    return column if metric.casefold() in column.casefold().replace(" ", "_") else f"{column} ({metric})"


def best_rows(table: PaperTable, found: Sequence[CellResult]) -> set[tuple[str, str]]:
    """(row, column) of the best number of ours in each column that has two at least."""
    best: set[tuple[str, str]] = set()
    said = {key: up for result in found for run in result.runs for key, up in directions_of(run.data).items()}
    for column in dict.fromkeys(result.column for result in found):
        shown = {result.row: result.shown for result in found if result.column == column and result.values}
        if len(shown) > 1:
            top = (max if rises(table.column(column).metric, said) else min)(shown.values())
            best |= {(row, column) for row, value in shown.items() if value == top}
    return best


def wide(table: PaperTable, found: Sequence[CellResult], bold: bool = False) -> Table:
    """As in a paper: methods down, tasks across, ours over theirs in one cell."""
    by = {(result.row, result.column): result for result in found}
    names = list(dict.fromkeys(result.column for result in found))
    best = best_rows(table, found) if bold else set()
    rows: list[tuple[str, ...]] = []
    strong: set[tuple[int, int]] = set()
    for row in dict.fromkeys(result.row for result in found):
        strong |= {(len(rows), at) for at, name in enumerate(names, 1) if (row, name) in best}
        rows.append((row, *(_brief(table, by.get((row, name))) for name in names)))
    columns = (Column("row", "", "text"), *(Column(name, heading(table, name), "value") for name in names))
    return Table(
        table.title, columns, tuple(rows), frozenset(strong), ("ours ± standard deviation (seeds) [published] verdict",)
    )


def fields(table: PaperTable, result: CellResult) -> Mapping[str, str]:
    """The texts of one cell."""
    places = digits(table)
    return {
        "row": result.row,
        "column": result.column,
        "metric": table.column(result.column).metric,
        "ours": ours(table, result),
        "n": str(result.n),
        "published": published(table, result),
        "difference": _signed(result.difference, places),
        "verdict": result.verdict.word,
        "runs": counts(result),
        "why": result.verdict.why + (f"; reported: {result.point}" if result.point else ""),
    }


def ours(table: PaperTable, result: CellResult) -> str:
    if not result.values:
        return NOTHING
    spread = "" if math.isnan(result.std) else f" ± {result.std:.{digits(table)}f}"
    return f"{result.shown:.{digits(table)}f}{spread}"


def published(table: PaperTable, result: CellResult) -> str:
    held = result.published
    if held is None:
        return NOTHING
    spread = "" if held.std is None else f" ± {held.std:g}"
    count = " (exact)" if held.exact else f" ({held.n})" if held.n else ""
    return f"{held.value:g}{spread}{count}{UNVERIFIED if held.unverified else ''}"


def counts(result: CellResult) -> str:
    """What is not simply a finished run, in words; nothing is left out of a mean silently."""
    told = (
        (result.failed, "failed"),
        (result.missing, "missing"),
        (result.running, "running"),
        (result.degenerate, "degenerate"),
    )
    return ", ".join(f"{count} {what}" for count, what in told if count) or "all done"


def markdown(
    table: PaperTable, found: Sequence[CellResult], notes: Sequence[str], views: Sequence[Table], bold: bool = False
) -> str:
    return formats.markdown([wide(table, found, bold), long(table, found, notes), *views])


def csv_text(table: PaperTable, found: Sequence[CellResult]) -> str:
    """One line a cell, numbers in full; an empty field is a missing value."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV)
    for result in found:
        held = result.published
        theirs = [held.value, _full(held.std), held.n] if held else ["", "", ""]
        verdict = result.verdict
        writer.writerow(
            [
                *(result.row, result.column, table.column(result.column).metric, table.unit, table.aggregate),
                *(_full(result.shown), _full(result.std), result.n),
                " ".join(f"{value:.6g}" for value in result.values),
                *theirs,
                *(_full(result.difference), _full(verdict.low), _full(verdict.high), verdict.word, verdict.why),
                *(result.failed, result.missing, result.running, result.degenerate),
                result.point or "",
                " ".join(dict.fromkeys(run.condition for run in result.runs)),
            ]
        )
    return stream.getvalue()


def show(
    table: PaperTable, found: Sequence[CellResult], notes: Sequence[str], views: Sequence[Table], console: Console
) -> None:
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=Text(table.title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for key, title, kind in FIELDS[:-1]:
        drawn.add_column(title, justify="left" if kind == "text" else "right", overflow="fold", ratio=None)
        del key
    for result in found:
        texts = fields(table, result)
        color = COLORS.get(result.verdict.word, "yellow")
        drawn.add_row(*(Text(texts[key], style=color if key == "verdict" else "") for key, _, _ in FIELDS[:-1]))
    console.print(drawn)
    console.print()
    for result in found:
        if result.values and result.published is not None:
            why = fields(table, result)["why"]
            console.print(f"  {result.row}/{result.column}: {why}", style="dim", markup=False, highlight=False)
    for note in notes:
        console.print(f"  {note}", style="dim", markup=False, highlight=False)
    for view in views:
        console.print(f"\n{formats.markdown([view])}", markup=False, highlight=False)


def _brief(table: PaperTable, result: CellResult | None) -> str:
    if result is None:
        return NOTHING
    theirs = f" [{published(table, result)}]" if result.published else ""
    sign = f" {SIGNS.get(result.verdict.word, '?')}" if result.published and result.values else ""
    count = f" ({result.n})" if result.values else ""
    bad = f", {result.failed} failed" if result.failed else ""
    return f"{ours(table, result)}{count}{bad}{theirs}{sign}"


def _signed(value: float, places: int) -> str:
    return NOTHING if math.isnan(value) else f"{value:+.{places}f}"


def _full(value: float | None) -> object:
    return "" if value is None or math.isnan(value) else value
