"""From runs to a Comparison: tasks apart, runs of one condition together, only the keys that differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

from exp.analysis.baseline import with_baseline
from exp.analysis.collection import Collection
from exp.analysis.comparison import ABSENT, COUNTED, Comparison, Condition, MetricSummary, TaskComparison
from exp.analysis.costs import charged, said_of_cost
from exp.analysis.filters import MISSING, keep, plain, value_of
from exp.analysis.looks import said_of_looks
from exp.analysis.run_data import RunData, full_name
from exp.analysis.stats import summarize
from exp.errors import ExpError, nearest
from exp.metrics.best import directions_of, rises
from exp.metrics.key import Key
from exp.run.identity import ADDED, counts
from exp.run.option_name import option_name

FEW = 3  # conditions; among so few, values that all differ prove nothing


def compare(
    found: Collection,
    *,
    sources: Iterable[str] = (),
    filters: Iterable[str] = (),
    metric: str | None = None,
    baseline: str | None = None,
    sort: str | None = None,
    reverse: bool = False,
    use: str = "best",
) -> Comparison:
    """`baseline` is a filter (`optimizer.lr=5e-5`) or the beginning of a condition's hash.

    `use` says whether paired differences are between `best` or `last` values. Raises ExpError for an unknown
    metric, sort key or baseline, and where no run passes the filters.
    """
    filters = list(filters)
    runs = keep(found.runs, filters)
    if not runs:
        raise ExpError(f"none of {len(found.runs)} runs passes {' and '.join(filters)}")
    by_task: dict[str, list[RunData]] = {}
    known_names = {_data_config(run): run.task for run in runs if run.data.get("name")}
    for run in runs:
        # A run that died before it read its data, or one from W&B, has no name for them but the same config.
        by_task.setdefault(known_names.get(_data_config(run), run.task), []).append(run)
    if metric is not None:
        known = {name for run in runs for name in run.best}
        if full_name(metric, known) not in known:
            raise ExpError(f"no run has the metric {metric!r}{nearest(metric, known)}")
    tasks = [_task(name, group, metric, use) for name, group in sorted(by_task.items())]
    if baseline is not None:
        tasks = with_baseline(tasks, baseline, use)
    tasks = [replace(task, conditions=_sorted(task, sort, reverse)) for task in tasks]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Comparison(tuple(tasks), tuple(found.problems), tuple(sources), now)


def _task(name: str, runs: list[RunData], asked: str | None, use: str) -> TaskComparison:
    by_condition: dict[str, list[RunData]] = {}
    for run in runs:
        by_condition.setdefault(run.condition, []).append(run)
    directions = {key: said for run in runs for key, said in directions_of(run.data).items()}
    metrics = _ordered({key for run in runs for key in run.best if Key.of(key).is_quality}, directions)
    objectives = Counter(run.objective for run in runs if run.objective)
    metric = full_name(asked, metrics) if asked else None
    if metric not in metrics:
        metric = objectives.most_common(1)[0][0] if objectives else full_name(None, metrics)
    if metric in metrics:
        metrics = (metric, *(key for key in metrics if key != metric))
    keys = differing_keys(group[0] for group in by_condition.values())
    conditions = tuple(_condition(id, group, keys, metrics) for id, group in by_condition.items())
    notes = []
    if len(objectives) > 1:
        told = ", ".join(f"{key} ({count})" for key, count in objectives.most_common())
        notes.append(f"runs were ranked by different metrics: {told}")
    if len(conditions) > 1 and not keys:
        notes.append("the conditions differ in no config key: the contents of a path changed, or exp itself")
    if use == "best" and metric and any(condition.metrics for condition in conditions):
        notes.append("best values are chosen on the split they are measured on: they flatter; last values do not")
    notes += said_of_looks(runs, metric)
    notes += said_of_leaks(runs)
    if charged(runs):
        notes.append(f"cost: {said_of_cost(runs)}")
    if any((run.objective or "").startswith("test") for run in runs):
        notes.append("runs were ranked by a test set: what was chosen on it cannot be reported on it")
    return TaskComparison(name, metric, metrics, keys, conditions, None, tuple(notes), directions)


def said_of_leaks(runs: Iterable[RunData]) -> list[str]:
    """Which evaluation rows stand in train too, as the runs found them; nothing of runs that did not look."""
    found: dict[str, str] = {}
    for run in runs:
        for split, leaks in (run.data.get("leaks") or {}).items():
            if leaks.get("in_train"):
                label = leaks.get("with_the_same_label")
                found[f"{leaks['in_train']} of {leaks['rows']} {split} rows stand in train"] = (
                    "" if label is None else f", {label} with the same label"
                )
    told = "; ".join(text + label for text, label in found.items())
    return [f"leakage: {told}"] if told else []


def _data_config(run: RunData) -> str:
    return str(sorted((key, str(value)) for key, value in run.config.items() if key.startswith("data.")))


def differing_keys(runs: Iterable[RunData]) -> tuple[str, ...]:
    """Config keys whose value is not the same everywhere; seeds, trackers and paths of output are no part."""
    configs = [run.config for run in runs]
    keys = {key: None for config in configs for key in config if counts(key)}
    found = []
    for key in keys:
        absent = ADDED.get(key, MISSING)  # a run that is older than the key
        first = configs[0].get(key, absent)
        if any(config.get(key, absent) != first for config in configs[1:]):
            found.append(key)
    return tuple(found)


def distinguishing_keys(keys: Sequence[str], conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """A few keys that distinguish the conditions as well as all keys do; each step takes the most useful key."""
    chosen: list[str] = []
    apart = 1
    while True:
        counts = {key: _count_distinct([*chosen, key], conditions) for key in keys if key not in chosen}
        best = max(counts, key=lambda key: counts[key], default=None)  # of equals the first
        if best is None or counts[best] <= apart:
            return [key for key in keys if key in chosen]
        chosen.append(best)
        apart = counts[best]


def independent_keys(keys: Sequence[str], conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of keys that always change together (an optimizer and its betas) the first.

    Two numbers that are new in every condition are what a search has drawn, and do not belong together.
    """
    kept: dict[Any, str] = {}
    for key in keys:
        values = [varies[key] for varies in conditions]
        texts = [str(value) for value in values]
        drawn = len(set(texts)) == len(texts) > FEW and all(isinstance(value, float) for value in values)
        kept.setdefault(key if drawn else tuple(texts.index(text) for text in texts), key)
    return list(kept.values())


def _count_distinct(keys: Sequence[str], conditions: Sequence[Mapping[str, Any]]) -> int:
    return len({tuple(str(varies[key]) for key in keys) for varies in conditions})


def _condition(id: str, runs: list[RunData], keys: tuple[str, ...], metrics: tuple[str, ...]) -> Condition:
    runs = sorted(runs, key=lambda run: (run.seed is None, run.seed, run.id))
    counted = [run for run in runs if run.status in COUNTED]
    varies = {key: shown_value(key, runs[0].config.get(key, ABSENT)) for key in keys}
    label = " ".join(f"{key_title(key)}={plain(value)}" for key, value in varies.items() if value != ABSENT) or id
    notes = [note for run in runs for note in run.notes]
    seeds = Counter(run.seed for run in counted)
    again = [seed for seed, count in seeds.items() if count > 1]
    if again:
        notes.append(f"seed {', '.join(map(str, again))} ran more than once: those runs are not independent")
    codes = {run.code for run in counted if run.code}
    if len(codes) > 1:
        notes.append(f"its runs come from {len(codes)} states of the code")
    measured = {key: _measure(key, counted) for key in metrics if any(key in run.best for run in counted)}
    bad = [key for key, value in measured.items() if value.bad]
    if bad:
        notes.append(f"NaN in {', '.join(bad)}: those runs are left out of its mean")
    statuses = Counter(run.status for run in runs)
    return Condition(id, label, varies, tuple(runs), dict(statuses), measured, None, tuple(dict.fromkeys(notes)))


def _measure(key: str, runs: list[RunData]) -> MetricSummary:
    best = [run.best[key] for run in runs if key in run.best]
    last = [run.last[key] for run in runs if key in run.last]
    good = [point for point in best if math.isfinite(point.value)]
    kept = [point for point in last if math.isfinite(point.value)]
    return MetricSummary(
        summarize([point.value for point in good]),
        summarize([point.value for point in kept]),
        median(point.step for point in good) if good else math.nan,
        median(point.step for point in kept) if kept else math.nan,
        len(best) - len(good) + len(last) - len(kept),
    )


def _sorted(task: TaskComparison, sort: str | None, reverse: bool) -> tuple[Condition, ...]:
    """By a metric's best mean (best first) or by a config key; without `sort` by the task's metric."""
    key = full_name(sort, task.metrics) if sort else task.metric
    if key in task.metrics:
        sign = -1 if task.rises(key) else 1

        def rank(condition: Condition) -> tuple[bool, float]:
            value = condition.metrics[key].best.mean if key in condition.metrics else math.nan
            return math.isnan(value), 0.0 if math.isnan(value) else sign * value * (-1 if reverse else 1)

        return tuple(sorted(task.conditions, key=rank))
    if sort in ("n", "failed", "condition"):
        value = {"n": lambda c: len(c.counted), "failed": lambda c: c.failed, "condition": lambda c: c.id}[sort]
        return tuple(sorted(task.conditions, key=value, reverse=reverse))
    if sort is not None:
        if all(value_of(condition.runs[0], sort) is MISSING for condition in task.conditions):
            known = {*task.metrics, *task.keys, "n", "failed", "condition"}
            raise ExpError(f"cannot sort by {sort!r}{nearest(sort, known)}")
        ordered = sorted(task.conditions, key=lambda c: _orderable(value_of(c.runs[0], sort)), reverse=reverse)
        return tuple(ordered)
    return task.conditions


def _orderable(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 0, float(value), ""
    return (2, 0.0, "") if value is MISSING else (1, 0.0, str(value))


def key_title(key: str) -> str:
    """optimizer._target_ is read as optimizer."""
    return key.removesuffix("._target_")


def shown_value(key: str, value: Any) -> Any:
    return option_name(key, value) if key.endswith("_target_") else value


def _ordered(metrics: Iterable[str], directions: Mapping[str, bool]) -> tuple[str, ...]:
    """Evaluation sets first, and scores before losses."""
    return tuple(sorted(metrics, key=lambda key: (Key.of(key).kind == "test", not rises(key, directions), key)))
