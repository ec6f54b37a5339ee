r"""A comparison as tables for a paper: few columns, short names, a caption that says what the numbers are.

The document needs \usepackage{booktabs} and nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from exp.analysis.comparison import TaskComparison
from exp.analysis.grouping import independent_keys
from exp.analysis.table import Column, make, name_of, short_keys
from exp.metrics.key import Key
from exp.metrics.names import COMBINED

SIGNS = {
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
STEP = re.compile(r" @[\d.]+(e[+-]?\d+)?$")
MOST_METRICS = 3  # in a table as wide as a column of text
TEXT_WIDTH = 345.0  # points: of a page of the class article
# Points a character takes on average, bold digits among them; measured with Computer Modern.
SIZES = {"small": 4.9, "footnotesize": 4.4, "scriptsize": 3.9}
GAP = 4.0  # points on each side of a column


def latex(tasks: Iterable[TaskComparison], precision: int, columns: list[str] | None) -> str:
    """One table environment a task. `columns` as in `table.make`; None: keys, n, metrics and the difference."""
    return "\n".join(_table(task, precision, columns) for task in tasks)


def _table(task: TaskComparison, precision: int, columns: list[str] | None) -> str:
    table = make(task, precision, columns or _usual(task))
    rows = [[_text(cell, column) for cell, column in zip(cells, table.columns, strict=True)] for cells in table.rows]
    titles = _titles(table.columns)
    body = []
    for row, cells in enumerate(rows):
        shown = [_numbers(escaped(cell)) for cell in cells]
        shown = [rf"\textbf{{{cell}}}" if (row, at) in table.strong else cell for at, cell in enumerate(shown)]
        body.append(" & ".join(shown) + r" \\")
    lines = [
        r"\begin{table}[t]",
        rf"\centering\{_size(titles, rows)}",
        rf"\setlength{{\tabcolsep}}{{{GAP:g}pt}}",
        rf"\caption{{{_caption(task, table.columns)}}}",
        rf"\label{{tab:{re.sub('[^a-zA-Z0-9]+', '-', task.name)}}}",
        rf"\begin{{tabular}}{{{''.join('l' if column.kind == 'text' else 'r' for column in table.columns)}}}",
        r"\toprule",
        " & ".join(titles) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        *(f"% {' '.join(note.split())}" for note in table.notes),
    ]
    return "\n".join(lines) + "\n"


def _usual(task: TaskComparison) -> list[str]:
    told = [key for key in task.metrics if task.rises(key) and Key.of(key).name != COMBINED]
    metrics = list(dict.fromkeys([*([task.metric] if task.metric in task.metrics else []), *told]))[:MOST_METRICS]
    keys = independent_keys(task.keys, [condition.varies for condition in task.conditions])
    picked = [*(keys or ["condition"]), "n", *(f"best {key}" for key in metrics)]
    if task.baseline:
        return [*picked, "difference", "holm"]
    return [*picked, f"interval {task.metric}"] if len(metrics) == 1 else picked


def _titles(columns: tuple[Column, ...]) -> list[str]:
    keys = short_keys([column.key for column in columns if column.kind == "text"])
    short = [keys.get(column.key) or _short(column) for column in columns]
    again = Counter(short)
    titles = [name if again[name] == 1 else column.title for name, column in zip(short, columns, strict=True)]
    return [{"n": "$n$", "p": "$p$"}.get(title, escaped(title)) for title in titles]


def _short(column: Column) -> str:
    """best eval/accuracy is the accuracy; what `best` means stands in the caption."""
    if column.key == "holm":
        return "p"
    word, _, metric = column.key.partition(" ")
    if word == "best":
        return Key.of(metric).short
    return column.title.replace(" eval/", " ")


def _text(text: str, column: Column) -> str:
    """Without the step; intervals all in brackets, without the signs that differences have."""
    if column.kind == "text":
        return text
    text = STEP.sub("", text)
    if column.key.startswith("interval "):
        return re.sub(r"^(\S+) to (\S+)$", r"[\1, \2]", text)
    return re.sub(r"\[\+?(\S+), \+?(\S+)\]", r"[\1, \2]", text)


def _numbers(text: str) -> str:
    """Minus signs, and 2e-5 as a power of ten."""
    text = re.sub(r"(?<![\w.])(-?[\d.]+)e(-?\d+)(?![\w.])", r"$\1\\times10^{\2}$", text).replace("$1\\times10", "$10")
    return re.sub(r"(?<![\w.${])-(?=\d)", "$-$", text)


def _size(titles: list[str], rows: list[list[str]]) -> str:
    """The largest type in which the table is no wider than the text."""
    widest = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    for size, points in SIZES.items():
        if sum(widest) * points + 2 * GAP * len(widest) <= TEXT_WIDTH:
            return size
    return "scriptsize"


def _caption(task: TaskComparison, columns: tuple[Column, ...]) -> str:
    names = {column.key.partition(" ")[0] for column in columns}
    said = [f"{escaped(task.name)}: mean $\\pm$ standard deviation over $n$ seeds"]
    if "best" in names:
        said.append("each run's best evaluation" if "last" not in names else "each run's best and last evaluation")
    text = ", of ".join(said) + "."
    if task.baseline and "difference" in names:
        base = next(condition for condition in task.conditions if condition.id == task.baseline)
        text += f" $\\Delta$: difference to {_numbers(escaped(name_of(base)))}, paired by seed, with its 95\\% interval"
        text += "; $p$: two-sided sign-flip test, adjusted after Holm." if "holm" in names else "."
    return text


def escaped(text: str) -> str:
    return "".join(SIGNS.get(sign, sign) for sign in text)
