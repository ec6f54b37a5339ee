"""A table written down: for the terminal, Markdown, LaTeX, CSV. Every form shows ours, theirs and the verdict."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from exp.analysis import formats
from exp.analysis.latex import escaped as tex
from exp.analysis.table import Column, Table
from exp.analysis.tables.results import CellResult
from exp.analysis.tables.schema import PaperTable
from exp.analysis.tables.verdict import HIGHER, LOWER, REPRODUCED

if TYPE_CHECKING:
    from rich.console import Console

NOTHING = "–"
# Signs stand beside words, so that neither colour nor font decides what is read.
SIGNS = {REPRODUCED: "=", HIGHER: "↑", LOWER: "↓"}
TEX_SIGNS = {REPRODUCED: r"$=$", HIGHER: r"$\uparrow$", LOWER: r"$\downarrow$"}
COLORS = {REPRODUCED: "green", HIGHER: "blue", LOWER: "red"}
FIELDS = (
    ("row", "row", "text"),
    ("column", "column", "text"),
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


def wide(table: PaperTable, found: Sequence[CellResult]) -> Table:
    """As in a paper: methods down, tasks across, ours over theirs in one cell."""
    by = {(result.row, result.column): result for result in found}
    names = list(dict.fromkeys(result.column for result in found))
    rows = []
    for row in dict.fromkeys(result.row for result in found):
        rows.append((row, *(_brief(table, by.get((row, name))) for name in names)))
    columns = (Column("row", "", "text"), *(Column(name, name, "value") for name in names))
    return Table(
        table.title, columns, tuple(rows), frozenset(), ("ours ± standard deviation (seeds) [published] verdict",)
    )


def fields(table: PaperTable, result: CellResult) -> Mapping[str, str]:
    """The texts of one cell."""
    places = digits(table)
    return {
        "row": result.row,
        "column": result.column,
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
    return f"{held.value:g}{spread}{count}"


def counts(result: CellResult) -> str:
    """What is not simply a finished run, in words; nothing is left out of a mean silently."""
    told = (
        (result.failed, "failed"),
        (result.missing, "missing"),
        (result.running, "running"),
        (result.degenerate, "degenerate"),
    )
    return ", ".join(f"{count} {what}" for count, what in told if count) or "all done"


def markdown(table: PaperTable, found: Sequence[CellResult], notes: Sequence[str], views: Sequence[Table]) -> str:
    return formats.markdown([wide(table, found), long(table, found, notes), *views])


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


def latex(table: PaperTable, found: Sequence[CellResult], notes: Sequence[str]) -> str:
    r"""A table environment; the document needs \usepackage{booktabs} and nothing else. Notes stand as comments."""
    by = {(result.row, result.column): result for result in found}
    names = list(dict.fromkeys(result.column for result in found))
    body = []
    for row in dict.fromkeys(result.row for result in found):
        mine = [by.get((row, name)) for name in names]
        body.append(rf"{tex(row)} & {' & '.join(_tex_ours(table, cell) for cell in mine)} \\")
        if any(cell is not None and cell.published for cell in mine):
            theirs = [tex(published(table, cell)) if cell is not None else NOTHING for cell in mine]
            body.append(rf"\quad published & {' & '.join(theirs)} \\")
    caption = (
        f"{tex(table.title)}. {table.aggregate.capitalize()} $\\pm$ standard deviation (seeds) on the "
        f"{tex(table.split.replace('_', ' '))} split, in {table.unit}. $=$: reproduced, $\\uparrow$: higher, "
        f"$\\downarrow$: lower, ?: not enough seeds or runs."
    )
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        r"\footnotesize\setlength{\tabcolsep}{3pt}",  # four columns of value, spread and count in an article's width
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{l{'c' * len(names)}}}",
        r"\toprule",
        rf" & {' & '.join(map(tex, names))} \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        *(f"% {' '.join(note.split())}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


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


def _tex_ours(table: PaperTable, result: CellResult | None) -> str:
    if result is None or not result.values:
        return "--"
    sign = f" {TEX_SIGNS.get(result.verdict.word, '?')}" if result.published else ""
    failed = f", {result.failed} failed" if result.failed else ""
    return f"{tex(ours(table, result))} ({result.n}{failed}){sign}"


def _signed(value: float, places: int) -> str:
    return NOTHING if math.isnan(value) else f"{value:+.{places}f}"


def _full(value: float | None) -> object:
    return "" if value is None or math.isnan(value) else value
