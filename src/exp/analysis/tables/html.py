"""The table as one page that needs nothing else, in the look of the report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from exp.analysis.report.page import page
from exp.analysis.table import Table
from exp.analysis.tables import render
from exp.analysis.tables.results import CellResult
from exp.analysis.tables.schema import PaperTable
from exp.analysis.tables.verdict import HIGHER, LOWER, REPRODUCED

STYLES = """
td.cell { vertical-align: top; min-width: 150px; }
td.cell small { display: block; color: var(--soft); }
.mark { display: inline-block; margin-top: 3px; padding: 0 8px; border: 1px solid currentColor; border-radius: 9px;
  font-size: 12px; color: var(--soft); }
.mark.reproduced { color: var(--good); } .mark.higher { color: var(--accent); } .mark.lower { color: var(--bad); }
td.why { white-space: normal; min-width: 280px; }
"""
CLASSES = {REPRODUCED: "reproduced", HIGHER: "higher", LOWER: "lower"}


def write(table: PaperTable, found: Sequence[CellResult], notes: Sequence[str], views: Sequence[Table]) -> str:
    """The page's text."""
    body = [
        '<header class="top">',
        f"<h1>{escape(table.title)}</h1>",
        f'<p class="muted">{escape(", ".join(str(v) for k, v in table.source.items() if k != "split"))}</p>',
        '<button type="button" data-theme-toggle>Dark mode</button>',
        '</header><main id="main">',
        *(f'<div class="notice">{escape(note)}</div>' for note in notes if note.startswith("WARNING")),
        _grid(table, found),
        _cells(table, found),
        *(_view(view) for view in views),
        '<section><h2>How these numbers were made</h2><ul class="notes">',
        *(f"<li>{escape(note)}</li>" for note in notes),
        "</ul></section></main>",
    ]
    return page(f"{table.title} · exp table", "\n".join(body), styles=STYLES)


def _grid(table: PaperTable, found: Sequence[CellResult]) -> str:
    by = {(result.row, result.column): result for result in found}
    names = list(dict.fromkeys(result.column for result in found))
    head = "".join(f'<th scope="col">{escape(render.heading(table, name))}</th>' for name in names)
    rows = []
    for row in dict.fromkeys(result.row for result in found):
        cells = "".join(_cell(table, by.get((row, name))) for name in names)
        rows.append(f'<tr><th scope="row">{escape(row)}</th>{cells}</tr>')
    said = "ours ± standard deviation over seeds, below it the published value, the difference and the verdict"
    return (
        f'<section><h2>Ours beside theirs</h2><p class="muted">{said}</p><div class="scroll" tabindex="0"><table>'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _cell(table: PaperTable, result: CellResult | None) -> str:
    if result is None:
        return f'<td class="cell">{render.NOTHING}</td>'
    texts = render.fields(table, result)
    parts = [f"<strong>{escape(texts['ours'])}</strong> ({result.n})"]
    if result.published:
        parts.append(f"<small>published {escape(texts['published'])}, {escape(texts['difference'])}</small>")
    if texts["runs"] != "all done":
        parts.append(f"<small>{escape(texts['runs'])}</small>")
    kind = CLASSES.get(result.verdict.word, "open")
    parts.append(f'<span class="mark {kind}" title="{escape(texts["why"])}">{escape(result.verdict.word)}</span>')
    return f'<td class="cell">{"".join(parts)}</td>'


def _cells(table: PaperTable, found: Sequence[CellResult]) -> str:
    return _table("Cells", render.long(table, found, ()), wrapped="why")


def _view(view: Table) -> str:
    return _table(view.title, view) + "".join(f'<p class="muted">{escape(note)}</p>' for note in view.notes)


def _table(title: str, made: Table, wrapped: str | None = None) -> str:
    head = "".join(
        f'<th scope="col" class="{"text" if column.kind == "text" else "num"}">{escape(column.title)}</th>'
        for column in made.columns
    )
    rows = []
    for cells in made.rows:
        shown = []
        for column, text in zip(made.columns, cells, strict=True):
            kind = "why" if column.key == wrapped else "text" if column.kind == "text" else "num"
            shown.append(f'<td class="{kind}">{escape(text)}</td>')
        rows.append(f"<tr>{''.join(shown)}</tr>")
    return (
        f'<section><h2>{escape(title)}</h2><div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )
