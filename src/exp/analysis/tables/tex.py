r"""A table for a paper in LaTeX; the document needs \usepackage{booktabs} and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exp.analysis.latex import escaped
from exp.analysis.tables.render import NOTHING, best_rows, heading, ours, published
from exp.analysis.tables.results import CellResult
from exp.analysis.tables.schema import PaperTable
from exp.analysis.tables.verdict import HIGHER, LOWER, REPRODUCED

SIGNS = {REPRODUCED: r"$=$", HIGHER: r"$\uparrow$", LOWER: r"$\downarrow$"}
NUMBER = re.compile(r"-?(\d+)(?=[.\D]|$)")


def latex(table: PaperTable, found: Sequence[CellResult], notes: Sequence[str], bold: bool = False) -> str:
    """A table environment with a label; decimal points of a column stand below each other. Notes are comments."""
    by = {(result.row, result.column): result for result in found}
    names = list(dict.fromkeys(result.column for result in found))
    best = best_rows(table, found) if bold else set()
    wide = {name: _widest(table, [result for result in found if result.column == name]) for name in names}
    body = []
    for row in dict.fromkeys(result.row for result in found):
        mine = [by.get((row, name)) for name in names]
        cells = [_ours(table, cell, wide[name], (row, name) in best) for cell, name in zip(mine, names, strict=True)]
        body.append(rf"{escaped(row)} & {' & '.join(cells)} \\")
        if any(cell is not None and cell.published for cell in mine):
            theirs = [_theirs(table, cell, wide[name]) for cell, name in zip(mine, names, strict=True)]
            body.append(rf"\quad published & {' & '.join(theirs)} \\")
    caption = (
        f"{escaped(table.title)}. {table.aggregate.capitalize()} $\\pm$ standard deviation (seeds) on the "
        f"{escaped(table.split.replace('_', ' '))} split, in {table.unit}. $=$: reproduced, $\\uparrow$: higher, "
        f"$\\downarrow$: lower, ?: not enough seeds, examples or runs.{' Bold: the best of ours.' if best else ''}"
    )
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        r"\footnotesize\setlength{\tabcolsep}{3pt}",  # four columns of value, spread and count in an article's width
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{re.sub('[^a-zA-Z0-9]+', '-', table.name)}}}",
        rf"\begin{{tabular}}{{l{'l' * len(names)}}}",
        r"\toprule",
        rf" & {' & '.join(escaped(heading(table, name)) for name in names)} \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        *(f"% {' '.join(note.split())}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


def _widest(table: PaperTable, found: Sequence[CellResult]) -> int:
    """Digits before the point of the column's largest number."""
    texts = [text for result in found for text in (ours(table, result), published(table, result))]
    return max((len(number[1]) for text in texts if (number := NUMBER.match(text))), default=0)


def _aligned(text: str, width: int) -> str:
    number = NUMBER.match(text)
    lacking = width - len(number[1]) if number else 0
    return (rf"\phantom{{{'0' * lacking}}}" if lacking else "") + escaped(text)


def _ours(table: PaperTable, result: CellResult | None, width: int, strong: bool) -> str:
    if result is None or not result.values:
        return "--"
    sign = f" {SIGNS.get(result.verdict.word, '?')}" if result.published else ""
    failed = f", {result.failed} failed" if result.failed else ""
    value = _aligned(ours(table, result), width)
    shown = rf"\textbf{{{value}}}" if strong else value
    return f"{shown} ({result.n}{failed}){sign}"


def _theirs(table: PaperTable, result: CellResult | None, width: int) -> str:
    return "--" if result is None else _aligned(published(table, result).replace(NOTHING, "--"), width)
