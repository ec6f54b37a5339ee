"""The runs of a task whose predictions are of the same rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from exp.analysis.comparison import Condition, TaskComparison
from exp.analysis.evidence.predictions import Predictions, read, sums_of
from exp.analysis.table import name_of
from exp.errors import ExpError
from exp.metrics.key import Key
from exp.metrics.sums import Additive, mean


@dataclass
class ItemRun:
    """One run with its predictions, and its metric as sums over them."""

    condition: Condition
    seed: int | None
    found: Predictions
    additive: Additive


def item_runs(task: TaskComparison, key: Key, overlap: bool, notes: list[str]) -> tuple[list[ItemRun], str | None]:
    """Runs of a task on the same rows, and the baseline's id; `notes` gets why others are left out."""
    runs = _read_all(task, key.split, notes)
    base = _baseline(task, {run.condition.id for run in runs})
    runs = _same_rows(runs, base, overlap, notes)
    for run in runs:
        run.additive = sums_of(run.found, key, notes)
    return runs, base


def _read_all(task: TaskComparison, split: str, notes: list[str]) -> list[ItemRun]:
    runs = []
    refused: Counter[tuple[str, str]] = Counter()
    for condition in task.conditions:
        seen: set[int | None] = set()
        for run in condition.counted:
            if run.seed in seen:
                continue  # a seed that ran twice is no second seed
            try:
                runs.append(ItemRun(condition, run.seed, read(run, split), mean([0.0])))
            except ExpError as error:
                refused[name_of(condition), str(error)] += 1
                continue
            seen.add(run.seed)
    for (name, why), count in refused.items():
        notes.append(f"{name}: {count} run{'s' * (count > 1)} not tested over examples: {why}")
    return runs


def _baseline(task: TaskComparison, there: set[str]) -> str | None:
    """The one that was asked for; of two conditions the one that ranks lower."""
    if task.baseline is not None:
        return task.baseline if task.baseline in there else None
    kept = [condition.id for condition in task.conditions if condition.id in there]
    return kept[-1] if len(kept) == 2 else None


def _same_rows(runs: list[ItemRun], base: str | None, overlap: bool, notes: list[str]) -> list[ItemRun]:
    """Runs on the rows of the baseline, or of most runs; with `overlap` all runs, on the rows that all of them have."""
    if len({run.found.fingerprint for run in runs}) <= 1:
        return runs
    keys: dict[str, list[str]] = {}
    for run in runs:
        if run.found.fingerprint not in keys:
            keys[run.found.fingerprint] = run.found.keys()
    if len({tuple(held) for held in keys.values()}) == 1:
        return runs  # written by two versions of a library
    common = set.intersection(*map(set, keys.values()))
    first = [run for run in runs if run.condition.id == base] or runs
    usual = Counter(run.found.fingerprint for run in first).most_common(1)[0][0]
    if overlap:
        if len(common) < 2:
            notes.append(f"the runs' evaluation sets share {len(common)} rows: there is nothing to pair")
            return []
        order = [key for key in keys[usual] if key in common]
        places = {mark: {key: at for at, key in enumerate(held)} for mark, held in keys.items()}
        for run in runs:
            at = places[run.found.fingerprint]
            run.found = run.found.take([at[key] for key in order])
        sizes = ", ".join(str(size) for size in sorted({len(held) for held in keys.values()}))
        notes.append(f"tested on the {len(order)} rows that all runs have (evaluation sets of {sizes} rows)")
        return runs
    for name, count, mark in sorted(
        {(name_of(run.condition), len(keys[run.found.fingerprint]), run.found.fingerprint) for run in runs}
    ):
        if mark != usual:
            shared = len(set(keys[mark]) & set(keys[usual]))
            offered = ". overlap=true compares the common ones" if shared > 1 else ""
            notes.append(
                f"{name} was evaluated on other rows ({count}, where {len(keys[usual])} are usual; {shared} in "
                f"common): not paired{offered}"
            )
    return [run for run in runs if run.found.fingerprint == usual]
