"""Tables written down: Markdown, LaTeX, CSV, and the terminal."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

from exp.analysis.comparison import ABSENT, Comparison
from exp.analysis.table import Table, plain

if TYPE_CHECKING:
    from rich.console import Console

LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "–": "--",
    '"': "''",
}


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


def latex(tables: list[Table]) -> str:
    r"""Table environments with booktabs; the document needs \usepackage{booktabs} and nothing else."""
    parts = []
    for table in tables:
        align = "".join("l" if column.kind == "text" else "r" for column in table.columns)
        body = []
        for row, cells in enumerate(table.rows):
            shown = [rf"\textbf{{{_tex(c)}}}" if (row, at) in table.strong else _tex(c) for at, c in enumerate(cells)]
            body.append(" & ".join(shown) + r" \\")
        parts.append(
            "\n".join(
                [
                    r"\begin{table}[t]",
                    r"\centering",
                    rf"\caption{{{_tex(table.title)}. Mean $\pm$ standard deviation over seeds; @: step.}}",
                    rf"\begin{{tabular}}{{{align}}}",
                    r"\toprule",
                    " & ".join(_tex(column.title) for column in table.columns) + r" \\",
                    r"\midrule",
                    *body,
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                    *(f"% {note}" for note in (" ".join(note.split()) for note in table.notes)),
                ]
            )
            + "\n"
        )
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
            writer.writerow(row)
    return stream.getvalue()


def show(tables: list[Table], comparison: Comparison, console: Console) -> None:
    from rich.markup import escape
    from rich.table import Table as RichTable

    for table in tables:
        rich = RichTable(title=escape(table.title), title_justify="left", box=None, pad_edge=False, header_style="bold")
        for column in table.columns:
            rich.add_column(escape(column.title), justify="left" if column.kind == "text" else "right")
        for row, cells in enumerate(table.rows):
            rich.add_row(
                *(f"[bold]{escape(c)}[/]" if (row, at) in table.strong else escape(c) for at, c in enumerate(cells))
            )
        console.print(rich)
        for note in table.notes:
            console.print(f"  {note}", style="dim", markup=False, highlight=False)
        console.print()
    for problem in comparison.problems[:20]:
        console.print(f"not counted: {problem.source}: {problem.why}", style="yellow", markup=False, highlight=False)
    if len(comparison.problems) > 20:
        console.print(f"and {len(comparison.problems) - 20} more that could not be read", style="yellow")


def _number(value: float) -> object:
    return "" if math.isnan(value) else value


def _md(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def _tex(text: str) -> str:
    return "".join(LATEX.get(sign, sign) for sign in text)
