"""A comparison as the plain data that the page draws.

    {created, sources, problems, states, tasks: [task]}
    task: {name, metric, notes, evidence, reliability, lower, columns, runColumns, keys, groupKeys, importance, metrics,
           series, common, grids, conditions, runs}
    condition: {id, label, cells, strong, runs: [index into runs], baseline}
    run: {name, condition: index, id, source, seed, status, cells, facts, config, tuned, best, clock, series,
          tokens, confusion, wrong, verdict}

`common` holds the config values that all runs of the task share; a run's `config` has the rest.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exp.analysis import table
from exp.analysis.comparison import ABSENT, Comparison, Condition, TaskComparison
from exp.analysis.evidence import tables as evidence
from exp.analysis.evidence.pictures import reliability
from exp.analysis.filters import plain
from exp.analysis.grouping import distinguishing_keys, independent_keys, shown_value
from exp.analysis.importance import importance
from exp.analysis.report.confusion import confusion
from exp.analysis.report.examples import wrong_answers
from exp.analysis.report.series import Grids, clock, drawn, rounded
from exp.analysis.run_data import RunData
from exp.curves.curve import Curve
from exp.curves.own_rules import own_rules
from exp.curves.rules import verdict
from exp.curves.verdict import BROKEN, REMEDIES, STATES, Thresholds, Verdict, title_of

PRECISION = 4
MOST_WITH_EXAMPLES = 40  # conditions whose first completed run shows its wrong answers


def payload(comparison: Comparison, limits: Thresholds) -> dict[str, Any]:
    states = {
        state: {"title": title_of(state), "broken": state in BROKEN, "remedies": remedies}
        for state, remedies in {**REMEDIES, **{name: rule.remedies for name, rule in own_rules().items()}}.items()
    }
    return {
        "created": comparison.created,
        "sources": comparison.sources,
        "problems": [{"source": problem.source, "why": problem.why} for problem in comparison.problems],
        "states": states,
        "tasks": [_task(task, limits) for task in comparison.tasks],
    }


def _task(task: TaskComparison, limits: Thresholds) -> dict[str, Any]:
    runs = [run for condition in task.conditions for run in condition.runs]
    names = _names(runs)
    curves = [run.curve() for run in runs]
    verdicts = [verdict(curve, run.facts(), limits) for run, curve in zip(runs, curves, strict=True)]
    titles = table.short_keys(task.keys)
    grids = Grids()
    told_by = distinguishing_keys(task.keys, [condition.varies for condition in task.conditions])
    labels = [_label(condition, {key: titles[key] for key in told_by}) for condition in task.conditions]
    axes = independent_keys(task.keys, [condition.varies for condition in task.conditions])
    conditions: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    shown = table.make(task, PRECISION, None)
    for at, (condition, cells) in enumerate(zip(task.conditions, shown.rows, strict=True)):
        numbers = range(len(told), len(told) + len(condition.runs))
        counts = Counter(verdicts[number].state for number in numbers)
        conditions.append(
            {
                "id": condition.id,
                "label": labels[at],
                "cells": [
                    *cells,
                    ", ".join(f"{counts[s]} {title_of(s)}" for s in (*STATES, *own_rules()) if counts[s]),
                ],
                "strong": sorted(column for row, column in shown.strong if row == at),
                "runs": list(numbers),
                "baseline": condition.id == task.baseline,
            }
        )
        for number in numbers:
            run, curve = runs[number], curves[number]
            own = _run_cells(run, names[number], labels[at], verdicts[number], task)
            place = {"name": names[number], "condition": at, "cells": own}
            told.append(place | _run(run, curve, grids, verdicts[number]))
    for condition_facts in conditions[:MOST_WITH_EXAMPLES]:
        completed = [number for number in condition_facts["runs"] if told[number]["status"] == "completed"]
        for number in completed[:1]:
            told[number]["wrong"] = wrong_answers(runs[number])
    common = _common(runs)
    for one, run in zip(told, runs, strict=True):
        one["config"] = {key: value for key, value in run.config.items() if key not in common}
        one["tuned"] = {key: shown_value(key, run.config.get(key)) for key in task.keys}
    columns = [{"key": c.key, "title": titles.get(c.key, c.title), "kind": c.kind} for c in shown.columns]
    names_of_series = sorted({key for one in told for key in one["series"]}, key=lambda key: _order(key, task))
    return {
        "name": task.name,
        "metric": task.metric,
        "notes": shown.notes,
        "evidence": _evidence(task),
        "reliability": reliability(task),
        "lower": {key: not task.rises(key) for key in (*task.metrics, *names_of_series)},
        "columns": [*columns, {"key": "verdict", "title": "verdict", "kind": "verdict"}],
        "runColumns": _run_columns(task),
        "keys": [{"key": key, "title": titles[key]} for key in axes],
        "groupKeys": [{"key": key, "title": titles[key]} for key in task.keys],
        "importance": _importance(task, titles),
        "metrics": task.metrics,
        "series": names_of_series,
        "common": common,
        "grids": grids.held,
        "conditions": conditions,
        "runs": told,
    }


def _evidence(task: TaskComparison) -> list[dict[str, Any]]:
    """Tables over examples, as rows of text."""
    return [
        {
            "title": shown.title,
            "columns": [{"title": column.title, "kind": column.kind} for column in shown.columns],
            "rows": shown.rows,
            "notes": shown.notes,
        }
        for shown in evidence.tables(task, PRECISION)
    ]


def _importance(task: TaskComparison, titles: Mapping[str, str]) -> dict[str, Any] | None:
    found = importance(task)
    if found is None:
        return None
    return {"shares": [[titles[key], share] for key, share in found.shares.items()], "note": found.note}


def _run(run: RunData, curve: Curve, grids: Grids, judged: Verdict) -> dict[str, Any]:
    return {
        "id": run.id,
        "source": run.source,
        "seed": run.seed,
        "status": run.status,
        "facts": _facts(run),
        "best": {key: rounded(point.value) for key, point in run.best.items()},
        "series": drawn(curve, grids),
        "clock": clock(curve, grids),
        "tokens": run.data.get("train_tokens"),  # real tokens, without padding, in one epoch
        "confusion": confusion(run),
        "verdict": {
            "state": judged.state,
            "step": judged.step,
            "evidence": judged.evidence,
            "caveats": judged.caveats,
            "metric": judged.metric,
            "best": judged.best and {"step": judged.best.step, "value": judged.best.value},
            "last": judged.last and {"step": judged.last.step, "value": judged.last.value},
            "cost": judged.cost,
        },
    }


def _facts(run: RunData) -> dict[str, Any]:
    """What a reader of two runs asks besides their configs."""
    facts = {
        "run": run.id,
        "folder": run.source,
        "condition": run.condition,
        "seed": run.seed,
        "status": run.status + (f": {run.reason}" if run.reason else ""),
        "created": run.created,
        "code": run.code,
        "data fingerprint": run.data.get("fingerprint"),
    }
    facts |= {f"best {key}": f"{point.value:.5g} @{point.step}" for key, point in run.best.items()}
    for split, scores in run.data.get("by_class", {}).items():
        facts |= {f"F1 of {name}, {split}": rounded(score) for name, score in scores.items()}
    facts |= {f"cost {key}": None if value is None else rounded(value) for key, value in run.cost.items()}
    return facts | {"note": "; ".join(run.notes) or None}


def _run_columns(task: TaskComparison) -> list[dict[str, str]]:
    columns = [("run", "text"), ("condition", "text"), ("seed", "number"), ("status", "status"), ("verdict", "verdict")]
    columns += [(f"best {key}", "value") for key in task.metrics]
    if task.metric:
        columns.append((f"last {task.metric}", "value"))
    columns += [("seconds", "number"), ("created", "text")]
    return [{"key": name, "title": name, "kind": kind} for name, kind in columns]


def _run_cells(run: RunData, name: str, label: str, judged: Verdict, task: TaskComparison) -> list[str]:
    seconds = run.cost.get("train_seconds")
    cells = [name, label, table.NOTHING if run.seed is None else str(run.seed), run.status, judged.title]
    points = [run.best.get(key) for key in task.metrics] + ([run.last.get(task.metric)] if task.metric else [])
    cells += [f"{point.value:.{PRECISION}f} @{point.step}" if point else table.NOTHING for point in points]
    return [*cells, f"{seconds:.4g}" if seconds is not None else table.NOTHING, (run.created or "")[:16]]


def _label(condition: Condition, titles: dict[str, str]) -> str:
    values = {key: condition.varies[key] for key in titles if condition.varies[key] != ABSENT}
    return " ".join(f"{titles[key]}={plain(value)}" for key, value in values.items()) or condition.id


def _names(runs: Sequence[RunData]) -> list[str]:
    """The folders' names below what they have in common, and the ids of runs that are no folders."""
    folders = [str(run.folder) for run in runs if run.folder]
    above = os.path.commonpath([str(Path(folder).parent) for folder in folders]) if folders else ""
    return [os.path.relpath(run.folder, above) if run.folder else run.id for run in runs]


def _common(runs: Sequence[RunData]) -> dict[str, Any]:
    first, rest = runs[0].config, runs[1:]
    return {key: value for key, value in first.items() if all(key in r.config and r.config[key] == value for r in rest)}


def _order(key: str, task: TaskComparison) -> tuple[int, str]:
    """The page opens with the first few: what ranks, the losses, what tells of stability."""
    first = [task.metric, "eval/loss", "train/loss", "train/grad_norm", "train/lr"]
    return (first.index(key) if key in first else len(first)), key
