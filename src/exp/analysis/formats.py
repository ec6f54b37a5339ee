"""Tables written down: Markdown, CSV, and the terminal."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Literal

from exp.analysis.comparison import ABSENT, Comparison, TaskComparison
from exp.analysis.filters import plain
from exp.analysis.table import Column, Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable


def markdown(tables: list[Table]) -> str:
    parts = []
    for table in tables:
        lines = [f"## {_md(table.title)}", ""]
        lines.append("| " + " | ".join(_md(column.title) for column in table.columns) + " |")
        lines.append("|" + "|".join(" --- " if column.kind == "text" else " ---: " for column in table.columns) + "|")
        for row, cells in enumerate(table.rows):
            shown = [f"**{_md(c)}**" if (row, at) in table.strong else _md(c) for at, c in enumerate(cells)]
            lines.append("| " + " | ".join(shown) + " |")
        if table.notes:
            lines += ["", *(f"- {_md(note)}" for note in table.notes)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def csv_text(comparison: Comparison) -> str:
    """One header, one line a condition over all tasks, numbers in full; an empty field is a missing value."""
    keys = list(dict.fromkeys(key for task in comparison.tasks for key in task.keys))
    metrics = list(dict.fromkeys(key for task in comparison.tasks for key in task.metrics))
    parts = ("mean", "std", "n", "low", "high")
    header = ["task", "condition", *keys, "n", "failed", "statuses"]
    for metric in metrics:
        header += [f"best {metric} {part}" for part in parts] + [f"best {metric} step"]
        header += [f"last {metric} {part}" for part in parts] + [f"last {metric} step"]
    header += [f"difference {part}" for part in ("metric", "mean", "low", "high", "n", "p", "holm")]
    over_items = any(task.items for task in comparison.tasks)
    header += [f"items {part}" for part in ITEM_PARTS] if over_items else []
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for task in comparison.tasks:
        for condition in task.conditions:
            varies = [condition.varies.get(key, ABSENT) for key in keys]
            row: list[object] = [task.name, condition.id]
            row += ["" if value == ABSENT else plain(value) for value in varies]
            row += [len(condition.counted), condition.failed]
            row.append(" ".join(f"{status}={count}" for status, count in sorted(condition.statuses.items())))
            for metric in metrics:
                found = condition.metrics.get(metric)
                for told, step in ((found.best, found.best_step), (found.last, found.last_step)) if found else ():
                    row += [*(_number(getattr(told, part)) for part in parts), _number(step)]
                if found is None:
                    row += [""] * 12
            test = condition.paired
            row += (
                [task.metric, *(_number(v) for v in (test.mean, test.low, test.high, test.n, test.p, test.holm))]
                if test
                else [""] * 7
            )
            row += _item_cells(task, condition.id) if over_items else []
            writer.writerow(row)
    return stream.getvalue()


# Of a condition alone, of its difference over examples, and of that over examples and seeds.
ITEM_PARTS = (
    *("n", "value", "low", "high", "error"),
    *("difference", "difference low", "difference high", "p", "holm", "detectable"),
    *("both error", "both p", "both holm", "variance of examples", "variance of seeds", "variance of both"),
)


def _item_cells(task: TaskComparison, condition: str) -> list[object]:
    found = task.items
    score = found.scores.get(condition) if found else None
    if found is None or score is None:
        return [""] * len(ITEM_PARTS)
    cells = [found.n, score.value, score.low, score.high, score.error]
    one = found.differences.get(condition)
    if one is not None:
        cells += [one.value, one.low, one.high, one.p, one.holm, one.detectable]
    if one is not None and one.both is not None:
        both = one.both
        cells += [both.error, both.p, one.both_holm, both.of_examples, both.of_seeds, both.of_both]
    return [*(_number(cell) for cell in cells), *[""] * (len(ITEM_PARTS) - len(cells))]


def show(tables: list[Table], comparison: Comparison, console: Console) -> None:
    for table in tables:
        rich, left_out = _fitting(table, console)
        console.print(rich)
        if left_out:
            what = f"not shown for want of room: {', '.join(left_out)}; columns= chooses, files have all"
            console.print(f"  {what}", style="dim", markup=False, highlight=False)
        for note in table.notes:
            console.print(f"  {note}", style="dim", markup=False, highlight=False)
        console.print()
    for problem in comparison.problems[:20]:
        console.print(f"not counted: {problem.source}: {problem.why}", style="yellow", markup=False, highlight=False)
    if len(comparison.problems) > 20:
        console.print(f"and {len(comparison.problems) - 20} more that are not counted", style="yellow")


def _fitting(table: Table, console: Console) -> tuple[RichTable, list[str]]:
    """The table without its least important columns, as far as the console's width asks; and their titles."""
    from rich.measure import Measurement

    kept = list(range(len(table.columns)))
    endless = console.options.update(width=100_000)
    least_first = sorted((at for at in kept if _weight(table.columns[at], table) is not None), reverse=True)
    least_first.sort(key=lambda at: _weight(table.columns[at], table) or 0)  # stable: of equals the last one first
    left_out: list[int] = []

    def fits(columns: list[int]) -> bool:
        return Measurement.get(console, endless, _rich(table, columns)).maximum <= console.width

    while least_first and not fits(kept):
        left_out.append(least_first.pop(0))
        kept.remove(left_out[-1])
    for at in reversed(left_out[:]):  # a narrow one may have made room for nothing, where a wide one went later
        alone = table.columns[at].key in ("p", "holm") and not any(table.columns[i].key == "difference" for i in kept)
        if not alone and fits(sorted([*kept, at])):
            kept = sorted([*kept, at])
            left_out.remove(at)
    return _rich(table, kept), [table.columns[at].title for at in sorted(left_out)]


def _weight(column: Column, table: Table) -> int | None:
    """How long a column stays; None: always. What ranks goes last, and a p value without Holm never stands alone."""
    word = column.key.partition(" ")[0]
    if column.follows:
        return 0
    if word == "best":
        first = next(other for other in table.columns if other.key.startswith("best "))
        return None if column is first else 0
    return {"last": 1, "p": 2, "interval": 3, "holm": 4, "difference": 5, "condition": 6}.get(word)


def _rich(table: Table, kept: list[int]) -> RichTable:
    from rich.markup import escape
    from rich.table import Table as RichTable

    rich = RichTable(title=escape(table.title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for at in kept:
        column = table.columns[at]
        justify: Literal["left", "right"] = "left" if column.kind == "text" else "right"
        rich.add_column(escape(column.title), justify=justify, overflow="fold")
    for row, cells in enumerate(table.rows):
        shown = (f"[bold]{escape(cells[at])}[/]" if (row, at) in table.strong else escape(cells[at]) for at in kept)
        rich.add_row(*shown)
    return rich


def _number(value: float) -> object:
    return "" if math.isnan(value) else value


def _md(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
