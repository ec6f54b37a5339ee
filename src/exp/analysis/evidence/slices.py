"""Scores on parts of an evaluation set: by the values of a column, or by an expression such as length>20."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exp.analysis.evidence import columns, resample
from exp.analysis.evidence.item_runs import ItemRun
from exp.analysis.evidence.predictions import Predictions
from exp.analysis.evidence.resample import ItemParts
from exp.analysis.evidence.results import CleanScore, SliceScore
from exp.analysis.filters import COMPARE, PATTERN
from exp.analysis.stats import holm
from exp.errors import ExpError

FEWEST = 5  # rows of a slice that an interval is given for
MOST = 20  # values of a column that become slices, the most frequent ones
BINS = 4  # slices of a column of many numbers
Rows = NDArray[np.bool_]


def slices(
    runs: Sequence[ItemRun], asked: Sequence[str], split: str, rises: bool, notes: list[str]
) -> Mapping[str, tuple[SliceScore, ...]]:
    """Every condition's scores on the slices, the worst first. Raises ExpError for an unknown column."""
    parts: dict[str, Rows] = {}
    for text in asked:
        parts |= _parts(text, runs[0].found, split, notes)
    members: dict[str, list[ItemRun]] = {}
    for run in runs:
        members.setdefault(run.condition.id, []).append(run)
    return {one: _scores(held, parts, rises) for one, held in members.items()}


def clean(runs: Sequence[ItemRun], split: str) -> Mapping[str, CleanScore]:
    """Every condition's score with and without the rows that stand in train too."""
    found = {}
    for id in dict.fromkeys(run.condition.id for run in runs):
        held = [run for run in runs if run.condition.id == id]
        keep = np.array([one == "no" for one in columns.leaked(held[0].found, split)])
        whole = _stacked(held)
        part = ItemParts(whole.values[keep], whole.score)
        error = float(_error(part)) if part.n >= FEWEST else math.nan
        value = float(part.scores().mean()) if part.n else math.nan
        found[id] = CleanScore(int((~keep).sum()), float(whole.scores().mean()), value, error)
    return found


def _parts(text: str, found: Predictions, split: str, notes: list[str]) -> dict[str, Rows]:
    match = PATTERN.match(text)
    if match is None:
        return _by_value(text, columns.column(found, text, split), notes)
    cells = columns.column(found, match["key"], split)
    rows = np.array([_passes(cell, match["sign"], match["value"]) for cell in cells])
    if not rows.any() or rows.all():
        notes.append(f"slice {text}: {'no' if not rows.any() else 'every'} row")
        return {}
    return {text: rows}


def _passes(cell: Any, sign: str, wanted: str) -> bool:
    if sign == "~":
        return wanted.casefold() in str(cell).casefold()
    if sign in ("=", "==", "!="):
        same = str(cell) == wanted or (_number(cell) is not None and _number(cell) == _number(wanted))
        return same is (sign != "!=")
    left, right = _number(cell), _number(wanted)
    if right is None:
        raise ExpError(f"slice: {sign} takes a number, not {wanted!r}")
    return left is not None and bool(COMPARE[sign](left, right))


def _number(cell: Any) -> float | None:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def _by_value(name: str, cells: Sequence[Any], notes: list[str]) -> dict[str, Rows]:
    numbers = [_number(cell) for cell in cells]
    if len(set(cells)) > 2 * BINS and all(one is not None for one in numbers):
        return _binned(name, np.array(numbers, dtype=float))
    counts = Counter(" ".join(map(str, cell)) if isinstance(cell, tuple) else str(cell) for cell in cells)
    if len(counts) > len(cells) / 2 and len(counts) > MOST:
        raise ExpError(f"slice={name}: {len(counts)} values in {len(cells)} rows make no slices; give an expression")
    if len(counts) > MOST:
        notes.append(f"slice {name}: the {MOST} most frequent of {len(counts)} values")
    told = [" ".join(map(str, cell)) if isinstance(cell, tuple) else str(cell) for cell in cells]
    return {f"{name}={value}": np.array([one == value for one in told]) for value, _ in counts.most_common(MOST)}


def _binned(name: str, numbers: NDArray[np.float64]) -> dict[str, Rows]:
    """Quarters; equal numbers stay together."""
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)))
    found = {}
    for at, (low, high) in enumerate(pairwise(edges)):
        rows = (numbers > low if at else numbers >= low) & (numbers <= high)
        found[f"{name} {'over ' if at else ''}{low:g} to {high:g}"] = rows
    return found


def _stacked(held: Sequence[ItemRun]) -> ItemParts:
    return ItemParts(np.stack([run.additive.parts for run in held], axis=1), held[0].additive.score)


def _error(parts: ItemParts) -> float:
    return float(resample.error_of(resample.pseudo_values(parts).mean(axis=1)))


def _scores(held: Sequence[ItemRun], parts: Mapping[str, Rows], rises: bool) -> tuple[SliceScore, ...]:
    whole = _stacked(held)
    found = [_score(name, whole, rows) for name, rows in parts.items()]
    adjusted = holm([one.p for one in found])
    found = [replace(one, holm=p) for one, p in zip(found, adjusted, strict=True)]
    return tuple(sorted(found, key=lambda one: (one.n < FEWEST, one.value if rises else -one.value)))


def _score(name: str, whole: ItemParts, rows: Rows) -> SliceScore:
    part, rest = (ItemParts(whole.values[which], whole.score) for which in (rows, ~rows))
    value = float(part.scores().mean())
    other = float(rest.scores().mean()) if rest.n else math.nan
    if part.n < FEWEST:
        return SliceScore(name, part.n, value, math.nan, math.nan, other, math.nan)
    mean = np.full((1, whole.values.shape[1]), 1 / whole.values.shape[1])
    drawn = resample.bootstrap(part, mean)
    held = np.array([value])
    low, high = resample.bca(drawn, held, part.without_each() @ mean.T)
    if resample.right_or_wrong(part) is not None:
        low, high = resample.where_all_agree(part.n, held, low, high, [0])
    p = resample.exchanged_rows(whole, rows) if rest.n >= FEWEST else math.nan
    return SliceScore(name, part.n, value, float(low[0]), float(high[0]), other, p)
