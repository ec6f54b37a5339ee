"""Tests over examples as a table beside the one over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable

from exp.analysis.comparison import ABSENT, Condition, TaskComparison
from exp.analysis.evidence.results import ItemDifference, ItemEvidence
from exp.analysis.filters import plain
from exp.analysis.grouping import independent_keys
from exp.analysis.table import NOTHING, SHORT_HASH, Column, Table, key_title, name_of
from exp.run.said import counted


def tables(task: TaskComparison, precision: int) -> list[Table]:
    """All that was asked of a task's examples."""
    found = [make(task, precision), _slices(task, precision), _clean(task, precision), _calibration(task, precision)]
    return [table for table in found if table is not None]


def make(task: TaskComparison, precision: int) -> Table | None:
    """None where nothing was tested, or nobody asked."""
    found = task.items
    if found is None:
        return None
    conditions = [condition for condition in task.conditions if condition.id in found.scores]
    keys = independent_keys(task.keys, [condition.varies for condition in task.conditions])
    columns = [
        Column("condition", "condition", "text"),
        *(Column(key, key_title(key), "text") for key in keys),
        Column("score", found.metric, "value"),
        Column("interval", "95% over examples", "value"),
    ]
    compared = bool(found.differences)
    several = any(one.both for one in found.differences.values())
    if compared:
        columns += [
            Column("difference", "Δ, 95% over examples", "value"),
            Column("p", "p", "number"),
            Column("holm", "p Holm", "number"),
        ]
    if several:
        columns += [
            Column("both", "Δ, 95% over both", "value"),
            Column("both p", "p both", "number"),
            Column("both holm", "p both Holm", "number"),
            Column("parts", "error: examples, seeds, both", "value"),
        ]
    if compared:
        columns.append(Column("detectable", "shows from", "number"))
    rows = tuple(tuple(_cell(one, column.key, found, precision) for column in columns) for one in conditions)
    what = f"{found.n} examples" + (f" in {found.clusters} clusters" if found.clusters is not None else "")
    title = f"{task.name}, over the {what} of {found.split}"
    return Table(title, tuple(columns), rows, frozenset(), tuple(_notes(task, found, several)))


def _notes(task: TaskComparison, found: ItemEvidence, several: bool) -> list[str]:
    notes = list(found.notes)
    if not found.scores:
        return notes
    notes.append("scores are those of the saved weights, from predictions/; intervals are BCa bootstraps")
    if found.differences:
        base = next(condition for condition in task.conditions if condition.id == found.baseline)
        tests = sorted({one.test for one in found.differences.values()})
        named = {"McNemar": "exact McNemar", "randomisation": f"approximate randomisation, {found.resamples} draws"}
        notes.append(
            f"Δ to {name_of(base)} on the same examples; p: {' or '.join(named[test] for test in tests)}, for these "
            f"seeds; Holm over {counted(len(found.differences), 'condition')}"
        )
        notes.append("shows from: the smallest difference that 80% of such sets would show at 0.05, for these seeds")
    elif len(found.scores) > 1 and found.baseline is None:
        notes.append("more than two conditions and no baseline: nothing was compared; baseline=... names one")
    if several:
        notes.append(
            "both: seeds and examples as crossed random effects; its error has parts (whose squares add up): "
            "of examples, of seeds, and what a seed does to an example"
        )
    elif found.differences:
        notes.append("one run a condition: p says nothing of other seeds")
    return notes


def _cell(condition: Condition, key: str, found: ItemEvidence, precision: int) -> str:
    score = found.scores[condition.id]
    if key == "condition":
        return condition.id[:SHORT_HASH]
    if key == "score":
        return f"{score.value:.{precision}f} ± {score.error:.{precision}f}"
    if key == "interval":
        return f"{score.low:.{precision}f} to {score.high:.{precision}f}"
    difference = found.differences.get(condition.id)
    if key in ("difference", "p", "holm", "both", "both p", "both holm", "parts", "detectable"):
        if condition.id == found.baseline:
            return "baseline" if key == "difference" else NOTHING
        return NOTHING if difference is None else _difference(difference, key, precision)
    value = condition.varies.get(key, ABSENT)
    return NOTHING if value == ABSENT else plain(value)


def _difference(one: ItemDifference, key: str, precision: int) -> str:
    if key == "difference":
        return f"{one.value:+.{precision}f} [{one.low:+.{precision}f}, {one.high:+.{precision}f}]"
    if key in ("p", "holm"):
        return f"{getattr(one, key):.3g}"
    if key == "detectable":
        return NOTHING if math.isnan(one.detectable) else f"{one.detectable:.{precision}f}"
    both = one.both
    if both is None:
        return NOTHING
    if key == "both":
        low, high = both.value - both.half, both.value + both.half
        return f"{both.value:+.{precision}f} [{low:+.{precision}f}, {high:+.{precision}f}]"
    if key == "parts":
        parts = (both.of_examples, both.of_seeds, both.of_both)
        return ", ".join(f"{math.sqrt(part):.{precision}f}" for part in parts)
    return f"{both.p if key == 'both p' else one.both_holm:.3g}"


def _named(task: TaskComparison, ids: Iterable[str]) -> dict[str, str]:
    return {condition.id: name_of(condition) for condition in task.conditions if condition.id in set(ids)}


def _slices(task: TaskComparison, precision: int) -> Table | None:
    found = task.items
    if found is None or not found.slices:
        return None
    several = len(found.slices) > 1
    columns = [
        *([Column("condition", "condition", "text")] if several else []),
        Column("slice", "slice", "text"),
        Column("n", "n", "number"),
        Column("score", found.metric, "value"),
        Column("interval", "95% over examples", "value"),
        Column("rest", "all other rows", "number"),
        Column("p", "p", "number"),
        Column("holm", "p Holm", "number"),
    ]
    rows = []
    for id, name in _named(task, found.slices).items():
        for one in found.slices[id]:
            few = math.isnan(one.low)
            rows.append(
                (
                    *([name] if several else []),
                    one.name,
                    str(one.n),
                    f"{one.value:.{precision}f}",
                    "too few rows" if few else f"{one.low:.{precision}f} to {one.high:.{precision}f}",
                    f"{one.rest:.{precision}f}",
                    NOTHING if math.isnan(one.p) else f"{one.p:.3g}",
                    NOTHING if math.isnan(one.holm) else f"{one.holm:.3g}",
                )
            )
    looks = max(map(len, found.slices.values()), default=0)
    note = (
        f"worst first; p of the difference to all other rows, which are dealt to the two parts at random; Holm over "
        f"{counted(looks, 'slice')} of a condition"
    )
    return Table(f"{task.name}, slices of {found.split}", tuple(columns), tuple(rows), frozenset(), (note,))


def _clean(task: TaskComparison, precision: int) -> Table | None:
    found = task.items
    if found is None or not found.clean:
        return None
    columns = (
        Column("condition", "condition", "text"),
        Column("leaked", "in train", "number"),
        Column("full", f"{found.metric}, all rows", "value"),
        Column("clean", "without them", "value"),
        Column("change", "change", "number"),
    )
    rows = tuple(
        (
            name,
            f"{one.leaked} of {found.n}",
            f"{one.full:.{precision}f}",
            f"{one.clean:.{precision}f} ± {one.error:.{precision}f}",
            f"{one.clean - one.full:+.{precision}f}",
        )
        for id, name in _named(task, found.clean).items()
        for one in [found.clean[id]]
    )
    note = "in train: rows of which all inputs stand in the train split too, as the run found them; ± over examples"
    return Table(f"{task.name}, without leaks", columns, rows, frozenset(), (note,))


def _calibration(task: TaskComparison, precision: int) -> Table | None:
    found = task.items
    if found is None or not found.calibration:
        return None
    titles = ("confidence", "accuracy", "ECE", "Brier", "reliability", "resolution", "uncertainty")
    columns = [Column("condition", "condition", "text"), *(Column(title, title, "number") for title in titles)]
    columns += [Column("temperature", "temperature", "number"), Column("after", "ECE with it", "number")]
    rows, notes = [], []
    for id, name in _named(task, found.calibration).items():
        one, mean = found.calibration[id], found.calibration[id].measured
        numbers = [getattr(mean, title.lower()) for title in titles]
        rows.append(
            (
                name,
                *(f"{number:.{precision}f}" for number in numbers),
                f"{one.temperature:.3f}",
                f"{one.ece_after:.{precision}f}",
            )
        )
        if one.overconfident:
            notes.append(
                f"{name}: overconfident in {one.overconfident} of {one.seeds} seeds: says {mean.confidence:.3f} on "
                f"average and is right in {mean.accuracy:.3f}; divide logits by {one.temperature:.2f}"
            )
    first = next(iter(found.calibration.values()))
    same = ", the rows that it is measured on" if first.fitted_on == found.split else ""
    notes.append("ECE: 15 bins of equal mass. Brier of the answer being right = reliability - resolution + uncertainty")
    notes.append(f"temperature: fitted on {first.fitted_on}{same}")
    title = f"{task.name}, calibration on {found.split}"
    return Table(title, tuple(columns), tuple(rows), frozenset(), tuple(notes))
