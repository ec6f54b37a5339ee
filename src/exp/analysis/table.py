"""A comparison as rows of text: one table a task, one line a condition."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from exp.analysis.comparison import ABSENT, Condition, TaskComparison
from exp.analysis.filters import MISSING, plain, value_of
from exp.analysis.grouping import independent_keys, key_title
from exp.curves.verdict import Thresholds
from exp.errors import ExpError, nearest

NOTHING = "–"
SHORT_HASH = 8  # digits of a condition's hash; 4 and more are understood by --baseline and exp.runs find
LONGEST_NAME = 70  # characters of a condition's label in a note


@dataclass(frozen=True)
class Column:
    """`kind`: text, number or value (mean with its spread). `follows`: it always changes with a column before it."""

    key: str
    title: str
    kind: str
    follows: bool = False


@dataclass(frozen=True)
class Table:
    """`strong` holds (row, column) of the best mean of each metric; `notes` stand below the table."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[tuple[int, int]]
    notes: tuple[str, ...]


def make(task: TaskComparison, precision: int, columns: list[str] | None) -> Table:
    """`columns` are names as in `choices`, or config keys; None: the usual ones. Raises ExpError for others."""
    known = _columns(task, precision)
    if columns is None:
        extra = ("interval ", "last ", "cost.", "verdict")
        main = (f"interval {task.metric}", f"last {task.metric}")
        picked = [column for column in known if not column.key.startswith(extra) or column.key in main]
        if all(not condition.failed for condition in task.conditions):
            picked = [column for column in picked if column.key != "failed"]
    else:
        picked = [_pick(name, known, task) for name in columns]
    rows = tuple(
        tuple(_cell(condition, column.key, task, precision) for column in picked) for condition in task.conditions
    )
    title = f"{task.name}: {len(task.conditions)} condition{'s' * (len(task.conditions) != 1)}"
    title += f" by {task.metric}" if task.metric else ""
    notes = list(task.notes)
    for condition in task.conditions:
        notes += [f"{name_of(condition)}: {note}" for note in (*condition.notes, *_reasons(condition))]
    if task.baseline:
        base = next(condition for condition in task.conditions if condition.id == task.baseline)
        notes.append(f"baseline: {name_of(base)}; differences by seed, two-sided sign-flip test, Holm over the table")
    return Table(title, tuple(picked), rows, _strong(task, picked), tuple(notes))


def _columns(task: TaskComparison, precision: int) -> list[Column]:
    found = [Column("condition", "condition", "text")]
    leading = independent_keys(task.keys, [condition.varies for condition in task.conditions])
    found += [Column(key, key_title(key), "text") for key in leading]
    found += [Column("n", "n", "number"), Column("failed", "failed", "number")]
    if any(set(condition.statuses) - {"completed"} for condition in task.conditions):
        found.append(Column("status", "status", "text"))
    for key in task.metrics:
        found += [Column(f"best {key}", f"best {key}", "value"), Column(f"interval {key}", "95% interval", "value")]
        if task.baseline and key == task.metric:
            found += [
                Column("difference", f"Δ {key}", "value"),
                Column("p", "p", "number"),
                Column("holm", "p Holm", "number"),
            ]
        found.append(Column(f"last {key}", f"last {key}", "value"))
    found += [Column(key, key_title(key), "text", follows=True) for key in task.keys if key not in leading]
    found.append(Column("verdict", "verdict", "text"))
    costs = sorted({key for c in task.conditions for run in c.counted for key in run.cost})
    return found + [Column(f"cost.{key}", key, "number") for key in costs]


def _pick(name: str, known: list[Column], task: TaskComparison) -> Column:
    for column in known:
        if name in (column.key, column.title, column.key.replace("best ", "", 1)):
            return column
    for column in known:
        if column.key in (f"best eval/{name}", f"cost.{name}"):
            return column
    if any(value_of(condition.runs[0], name) is not MISSING for condition in task.conditions):
        return Column(name, key_title(name), "text")
    raise ExpError(f"there is no column {name!r}{nearest(name, [column.key for column in known])}")


def _cell(condition: Condition, key: str, task: TaskComparison, precision: int) -> str:
    word, _, rest = key.partition(" ")
    if word in ("best", "last", "interval") and rest:
        return _measured(condition, word, rest, precision)
    if key == "condition":
        return condition.id[:SHORT_HASH]
    if key == "n":
        return str(len(condition.counted))
    if key == "failed":
        return str(condition.failed)
    if key == "status":
        return ", ".join(f"{count} {status}" for status, count in sorted(condition.statuses.items()))
    if key == "verdict":
        told = Counter(run.verdict(Thresholds()).title for run in condition.runs)
        return ", ".join(f"{count} {title}" for title, count in told.most_common())
    if key in ("difference", "p", "holm"):
        return _difference(condition, key, task, precision)
    if key.startswith("cost."):
        values = [run.cost[key[5:]] for run in condition.counted if run.cost.get(key[5:]) is not None]
        return f"{sum(values) / len(values):.4g}" if values else NOTHING
    value = condition.varies.get(key, MISSING)
    if value is MISSING:
        value = value_of(condition.runs[0], key)
    return NOTHING if value is MISSING or value == ABSENT else plain(value)


def _measured(condition: Condition, word: str, metric: str, precision: int) -> str:
    found = condition.metrics.get(metric)
    if found is None:
        return NOTHING
    told = found.last if word == "last" else found.best
    if word == "interval":
        return NOTHING if math.isnan(told.low) else f"{told.low:.{precision}f} to {told.high:.{precision}f}"
    if told.n == 0:
        return "NaN"
    step = found.last_step if word == "last" else found.best_step
    spread = "" if math.isnan(told.std) else f" ± {told.std:.{precision}f}"
    return f"{told.mean:.{precision}f}{spread} @{step:g}"


def _difference(condition: Condition, key: str, task: TaskComparison, precision: int) -> str:
    if condition.id == task.baseline:
        return "baseline" if key == "difference" else NOTHING
    if condition.paired is None:
        return NOTHING
    told = condition.paired
    if key == "p":
        return f"{told.p:.3g}" + ("" if told.exact else "~")
    if key == "holm":
        return f"{told.holm:.3g}"
    interval = "" if math.isnan(told.low) else f" [{told.low:+.{precision}f}, {told.high:+.{precision}f}]"
    pairs = "" if told.n == len(condition.counted) else f" n={told.n}"  # not every seed has its pair
    return f"{told.mean:+.{precision}f}{interval}{pairs}"


def _strong(task: TaskComparison, columns: list[Column]) -> frozenset[tuple[int, int]]:
    if len(task.conditions) < 2:
        return frozenset()
    found = set()
    for at, column in enumerate(columns):
        word, _, metric = column.key.partition(" ")
        if word not in ("best", "last") or not metric:
            continue
        means = {}
        for row, condition in enumerate(task.conditions):
            if metric in condition.metrics:
                measured = condition.metrics[metric]
                mean = (measured.last if word == "last" else measured.best).mean
                if not math.isnan(mean):
                    means[row] = mean
        if means:
            top = (max if task.rises(metric) else min)(means.values())
            found |= {(row, at) for row, mean in means.items() if mean == top}
    return frozenset(found)


def _reasons(condition: Condition) -> list[str]:
    """Why runs are not in the mean, three at most; a study prunes on purpose, and the status says it."""
    told = [
        f"seed {run.seed} {run.status}" + (f" ({_short(run.reason)})" if run.reason else "")
        for run in condition.runs
        if run.status not in ("completed", "running", "pruned")
    ]
    return told[:3] + ([f"and {len(told) - 3} more"] if len(told) > 3 else [])


def name_of(condition: Condition) -> str:
    """What tells it from the others, or its hash where that is long."""
    return condition.label if len(condition.label) <= LONGEST_NAME else condition.id[:SHORT_HASH]


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 80 else line[:77] + "..."


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """optimizer.lr is shown as lr, unless another key ends in lr too."""
    plain = {key: key.removesuffix("._target_") for key in keys}
    ends = Counter(name.rpartition(".")[2] for name in plain.values())
    return {key: last if ends[last := name.rpartition(".")[2]] == 1 else name for key, name in plain.items()}
