"""Differences of every condition to one of them, by seed, with Holm over the conditions of a task."""

from __future__ import annotations

import math
from dataclasses import replace

from exp.analysis.comparison import Condition, TaskComparison
from exp.analysis.filters import keep
from exp.analysis.stats import Paired, holm, paired, pairs_needed
from exp.errors import ExpError


def with_baseline(tasks: list[TaskComparison], asked: str, use: str) -> list[TaskComparison]:
    """Each task that has the baseline gets differences to it; Holm's family is the conditions of one task."""
    chosen = [_find_baseline(task, asked) for task in tasks]
    if all(one is None for one in chosen):
        labels = [f"{condition.id} ({condition.label})" for task in tasks for condition in task.conditions]
        raise ExpError(f"no condition is the baseline {asked!r}; there are {', '.join(labels[:8])}")
    done = []
    for task, base in zip(tasks, chosen, strict=True):
        if base is None or task.metric is None:
            done.append(replace(task, notes=(*task.notes, "the baseline has no run on this task")))
            continue
        reference = by_seed(base, task.metric, use)
        others = [condition for condition in task.conditions if condition is not base]
        tests = [paired(by_seed(condition, task.metric, use), reference) for condition in others]
        adjusted = iter(holm([test.p for test in tests if test]))
        results = {
            condition.id: replace(test, holm=next(adjusted)) if test else None
            for condition, test in zip(others, tests, strict=True)
        }
        conditions = tuple(replace(c, paired=results.get(c.id)) for c in task.conditions)
        notes = (*task.notes, *_power([test for test in tests if test], len(others)))
        done.append(replace(task, conditions=conditions, baseline=base.id, notes=notes))
    return done


def _power(tests: list[Paired], others: int) -> list[str]:
    if not tests:
        return ["no other condition shares a seed with the baseline: nothing was tested"] if others else []
    needed, fewest = pairs_needed(len(tests)), min(test.n for test in tests)
    if fewest >= needed:
        return []
    pairs = f"{fewest} pairs give" if fewest > 1 else "1 pair gives"
    return [
        f"n is too small: {pairs} no p below {2.0 ** (1 - fewest):.3g}; to reach 0.05 "
        f"after Holm over {len(tests)} comparison{'s' * (len(tests) > 1)} takes {needed} seeds"
    ]


def by_seed(condition: Condition, metric: str, use: str) -> dict[int, float]:
    """A seed that ran twice counts once, with its mean."""
    values: dict[int, list[float]] = {}
    for run in condition.counted:
        point = (run.best if use == "best" else run.last).get(metric)
        if point is not None and run.seed is not None and math.isfinite(point.value):
            values.setdefault(run.seed, []).append(point.value)
    return {seed: sum(held) / len(held) for seed, held in values.items()}


def _find_baseline(task: TaskComparison, asked: str) -> Condition | None:
    found = [condition for condition in task.conditions if len(asked) >= 4 and condition.id.startswith(asked)]
    if not found and any(sign in asked for sign in "=<>~"):
        matched = list(task.conditions)
        for part in asked.split(","):
            matched = [c for c in matched if c.runs and _passes(c, part)]
        found = matched
    if len(found) > 1:
        raise ExpError(
            f"{asked!r} fits {len(found)} conditions; name one by its hash: {', '.join(c.id for c in found)}"
        )
    return found[0] if found else None


def _passes(condition: Condition, part: str) -> bool:
    try:
        return bool(keep([condition.runs[0]], [part]))
    except ExpError:
        return False  # this condition lacks the key
