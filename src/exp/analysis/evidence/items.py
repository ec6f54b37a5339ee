"""What the examples of an evaluation set say of a difference; the seeds alone are half of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exp.analysis.comparison import Comparison, TaskComparison
from exp.analysis.evidence import columns, resample
from exp.analysis.evidence.item_runs import ItemRun, item_runs
from exp.analysis.evidence.resample import Crossed, ItemParts, right_or_wrong
from exp.analysis.evidence.results import ItemDifference, ItemEvidence, ItemScore
from exp.analysis.looks import MANY, expected_largest, tried
from exp.analysis.stats import holm
from exp.analysis.table import name_of
from exp.errors import ExpError
from exp.metrics.key import Key

ROUNDING = 1e-9
MEMBERS = 30  # clusters below which a clustered error is known to be too small (Cameron and Miller 2015)


@dataclass(frozen=True)
class ItemOptions:
    """What is asked of the examples.

    Args:
        cluster: a column whose equal values say which examples are not independent of each other.
        overlap: runs that were evaluated on different rows are compared on those that all have.
        slices: columns or expressions (length>20) whose parts are scored alone.
        without_leaks: scores without the rows that stand in train too.
        calibration: whether probabilities mean what they say.
    """

    cluster: str | None = None
    overlap: bool = False
    slices: Sequence[str] = ()
    without_leaks: bool = False
    calibration: bool = False


def with_items(comparison: Comparison, options: ItemOptions = ItemOptions()) -> Comparison:
    """Each task with its tests over examples.

    Raises:
        ExpError: the predictions of no task can be tested, or there is no column that the options name.
    """
    tasks = [replace(task, items=evidence(task, options)) for task in comparison.tasks]
    if all(task.items is None or not task.items.scores for task in tasks):
        why = "; ".join(note for task in tasks if task.items for note in task.items.notes[:2])
        raise ExpError(f"nothing can be tested over examples: {why or 'no metric ranks these runs'}")
    return replace(comparison, tasks=tuple(tasks))


def evidence(task: TaskComparison, options: ItemOptions) -> ItemEvidence | None:
    """None for a task without a metric."""
    if task.metric is None:
        return None
    key, cluster = Key.of(task.metric), options.cluster
    notes: list[str] = []
    runs, base = item_runs(task, key, options.overlap, notes)
    if not runs:
        return ItemEvidence(task.metric, key.split, 0, None, 0, base, {}, {}, tuple(notes))
    n = len(runs[0].found.table)
    if n < 2:
        notes.append(f"{key.split} has one example: nothing can be said of others")
        return ItemEvidence(task.metric, key.split, n, None, 0, base, {}, {}, tuple(dict.fromkeys(notes)))
    parts = ItemParts(np.stack([run.additive.parts for run in runs], axis=1), runs[0].additive.score)
    ones = right_or_wrong(parts)
    groups = None
    if cluster is not None:
        numbers = _numbered(columns.column(runs[0].found, cluster, key.split))
        parts, groups = parts.clustered(numbers), int(numbers.max()) + 1
        ones = None
        notes += _of_clusters(cluster, groups, n)
        if groups < 2:
            return ItemEvidence(task.metric, key.split, n, groups, 0, base, {}, {}, tuple(dict.fromkeys(notes)))
    scores, differences = _test(parts, ones, runs, base, notes)
    notes += _best_of_many(scores, task)
    more = _more(task, runs, options, notes)
    count = resample.resamples(parts.n)
    told = tuple(dict.fromkeys(notes))
    found = ItemEvidence(task.metric, key.split, n, groups, count, base, scores, differences, told)
    return replace(found, **more)


def _best_of_many(scores: Mapping[str, ItemScore], task: TaskComparison) -> list[str]:
    """How far the best of as many equal settings would lie above their mean by the draw of examples alone: the
    expected largest of independent normals, which is the most that paired ones can differ by. A pruned trial was a
    look at the examples too."""
    assert task.metric is not None
    count, _ = tried((run for condition in task.conditions for run in condition.runs), task.metric)
    if count < MANY:
        return []
    error = float(np.median([score.error for score in scores.values()]))
    above = expected_largest(count) * error
    return [
        f"the best of {count} settings: of {count} equal ones the best would lie up to {above:.4f} above their mean"
    ]


def _more(task: TaskComparison, runs: list[ItemRun], options: ItemOptions, notes: list[str]) -> dict[str, Any]:
    from exp.analysis.evidence import calibrated, slices

    assert task.metric is not None
    split = Key.of(task.metric).split
    found: dict[str, Any] = {}
    if options.slices:
        found["slices"] = slices.slices(runs, options.slices, split, task.rises(task.metric), notes)
    if options.without_leaks:
        found["clean"] = slices.clean(runs, split)
    if options.calibration:
        found["calibration"] = calibrated.conditions(runs, split, notes)
    return found


def _of_clusters(column: str, groups: int, n: int) -> list[str]:
    if groups < 2:
        return [f"all examples have the same {column}: one cluster says nothing of others"]
    if groups == n:
        return [f"every example has a {column} of its own: the clusters change nothing"]
    if groups < MEMBERS:
        return [f"{groups} clusters are few: errors over fewer than {MEMBERS} come out too small"]
    return []


def _numbered(values: Sequence[object]) -> np.ndarray:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def _test(
    parts: ItemParts, ones: np.ndarray | None, runs: list[ItemRun], base: str | None, notes: list[str]
) -> tuple[Mapping[str, ItemScore], Mapping[str, ItemDifference]]:
    members: dict[str, dict[int | None, int]] = {}
    for at, run in enumerate(runs):
        members.setdefault(run.condition.id, {})[run.seed] = at
    names = {run.condition.id: name_of(run.condition) for run in runs}
    contrast = np.zeros((len(members), len(runs)))
    for row, held in enumerate(members.values()):
        contrast[row, list(held.values())] = 1 / len(held)
    others = [one for one in members if one != base] if base is not None else []
    pairs = {one: _pairs(members[one], members[str(base)], names[one], notes) for one in others}
    rows = np.zeros((len(others), len(runs)))
    for row, one in enumerate(others):
        for first, second in pairs[one]:
            rows[row, first] += 1 / len(pairs[one])
            rows[row, second] -= 1 / len(pairs[one])
    weights = np.concatenate([contrast, rows])
    value = _rounded(weights @ parts.scores())
    left_out = parts.without_each()
    low, high = map(_rounded, resample.bca(resample.bootstrap(parts, weights), value, left_out @ weights.T))
    if ones is not None:
        low, high = resample.where_all_agree(parts.n, value, low, high, range(len(members)))
    pseudo = parts.n * parts.scores() - (parts.n - 1) * left_out
    errors = _rounded(resample.error_of(pseudo @ weights.T))
    scores = {
        one: ItemScore(*(float(numbers[row]) for numbers in (value, low, high, errors)))
        for row, one in enumerate(members)
    }
    if not others:
        return scores, {}
    drawn = resample.randomisation(parts, [pairs[one] for one in others])
    found: dict[str, ItemDifference] = {}
    for row, one in enumerate(others, start=len(members)):
        exact = [resample.mcnemar(ones[:, a], ones[:, b]) for a, b in pairs[one]] if ones is not None else []
        single = len(exact) == 1
        found[one] = ItemDifference(
            value=float(value[row]),
            low=float(low[row]),
            high=float(high[row]),
            error=float(errors[row]),
            p=exact[0][0] if single else float(drawn[row - len(members)]),
            test="McNemar" if single else "randomisation",
            pairs=len(pairs[one]),
            only=tuple((first, second) for _, first, second in exact),
            detectable=resample.detectable(float(errors[row]), parts.n - 1),
            both=_both(pseudo, pairs[one], float(value[row])),
        )
        if errors[row] == 0:
            notes.append(f"{names[one]}: all examples tie with the baseline's")
    return scores, _adjusted(found)


def _pairs(
    first: Mapping[int | None, int], second: Mapping[int | None, int], name: str, notes: list[str]
) -> list[tuple[int, int]]:
    """By seed; where two conditions share none, each run of the one with a run of the other in turn."""
    shared = [seed for seed in first if seed in second]
    if shared:
        return [(first[seed], second[seed]) for seed in shared]
    notes.append(f"{name}: no seed in common with the baseline; its runs are paired in the order of their seeds")
    return list(zip(first.values(), second.values(), strict=False))


def _both(pseudo: np.ndarray, pairs: list[tuple[int, int]], value: float) -> Crossed | None:
    """None for one pair, which says nothing of other seeds."""
    if len(pairs) < 2:
        return None
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    return resample.crossed(_rounded(pseudo[:, first] - pseudo[:, second]), value)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Equal answers differ in the last bits, which must not look like a small effect."""
    return np.where(np.abs(values) < ROUNDING, 0.0, values)


def _adjusted(found: dict[str, ItemDifference]) -> dict[str, ItemDifference]:
    """Holm over the conditions, for the examples and for both halves."""
    over_items = holm([one.p for one in found.values()])
    over_both = holm([one.both.p if one.both else float("nan") for one in found.values()])
    return {
        id: replace(one, holm=p, both_holm=q)
        for (id, one), p, q in zip(found.items(), over_items, over_both, strict=True)
    }
