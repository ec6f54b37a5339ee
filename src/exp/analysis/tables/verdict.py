"""Compares our values with a published one by stated rules, never by the mean alone.

In this order, with the difference d = ours - published in the table's unit:

1. reproduced, if the 90% t-interval of d lies inside the tolerance (two one-sided tests at 5%: Schuirmann 1987).
   The published value's own spread counts where the paper gives it (Welch 1947).
2. Where the paper gives its spread, or the value is exact: higher or lower, if the 95% interval of d leaves out 0.
3. Where only a point is known: reproduced, if it lies in our 95% prediction interval for a value that is made as
   theirs was (the mean or median of as many runs; one run where the paper does not say), and that interval is no
   wider than `widest` to either side. Higher or lower, if it lies outside.
4. Otherwise there are not enough seeds.

A published value is known to half a unit of its last digit; a difference that small is never called one.
A maximum has no t-interval, and a test server's score needs a submission: neither is judged.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from exp.analysis.stats import t_quantile
from exp.analysis.tables.schema import Published, VerdictRules

REPRODUCED, HIGHER, LOWER = "reproduced", "higher", "lower"
TOO_FEW, NOT_RUN, NOT_JUDGED = "not enough seeds", "not run", "not judged"


@dataclass(frozen=True)
class CellVerdict:
    """`low` and `high` bound the published value as our runs would have it (95%); NaN where that has no meaning."""

    word: str
    why: str
    low: float = math.nan
    high: float = math.nan


def aggregate(values: Sequence[float], how: str) -> float:
    if not values:
        return math.nan
    if how == "max":
        return max(values)
    return statistics.median(values) if how == "median" else statistics.fmean(values)


def judge(
    values: Sequence[float], published: Published | None, how: str, rules: VerdictRules, split: str
) -> CellVerdict:
    """`values` are the runs of one cell, one a seed, in the table's unit."""
    if split == "test_server":
        return CellVerdict(NOT_JUDGED, "the test server alone scores this: make a submission")
    if not values:
        return CellVerdict(NOT_RUN, "no finished run")
    if published is None:
        return CellVerdict(NOT_JUDGED, "nothing published")
    if how == "max":
        return CellVerdict(NOT_JUDGED, "a maximum has no t-interval")
    n = len(values)
    if n < max(2, rules.min_seeds):
        return CellVerdict(TOO_FEW, f"{n} of at least {max(2, rules.min_seeds)} seeds")
    d = aggregate(values, how) - published.value
    ours = _variance(statistics.variance(values), n, how)
    theirs = 0.0
    freedom = n - 1
    if published.std is not None and published.n is not None and published.n > 1 and not published.exact:
        theirs = _variance(published.std**2, published.n, how)
        freedom = _welch(ours, n, theirs, published.n)
    error = math.sqrt(ours + theirs)
    if rules.tolerance is not None:
        half = t_quantile(0.95, freedom) * error
        if abs(d) + half <= rules.tolerance:
            return CellVerdict(
                REPRODUCED,
                f"equal within {rules.tolerance:g}: 90% interval of the difference {_interval_text(d, half)}",
                *_interval(published.value + d, t_quantile(0.975, freedom) * error),
            )
    if published.exact or theirs > 0:
        return _judge_interval(d, t_quantile(0.975, freedom) * error, published, rules)
    return _judge_prediction(d, statistics.variance(values), n, published, how, rules)


def _judge_interval(d: float, half: float, published: Published, rules: VerdictRules) -> CellVerdict:
    bounds = _interval(published.value + d, half)
    said = f"95% interval of the difference {_interval_text(d, half)}"
    if abs(d) > half + rounding(published.value):
        return CellVerdict(HIGHER if d > 0 else LOWER, f"{said} leaves out 0", *bounds)
    held = "no tolerance is stated" if rules.tolerance is None else f"not inside {rules.tolerance:g}"
    return CellVerdict(TOO_FEW, f"{said} holds 0, {held}", *bounds)


def _judge_prediction(
    d: float, variance: float, n: int, published: Published, how: str, rules: VerdictRules
) -> CellVerdict:
    runs = published.n or 1
    half = t_quantile(0.975, n - 1) * math.sqrt(_variance(variance, n, how) + _variance(variance, runs, how))
    bounds = _interval(published.value + d, half)
    of = "one run" if runs == 1 else f"a {how} of {runs}"
    said = f"95% prediction interval for {of} {bounds[0]:.2f} to {bounds[1]:.2f}"
    if abs(d) > half + rounding(published.value):
        return CellVerdict(HIGHER if d > 0 else LOWER, f"{said} leaves it out", *bounds)
    if half > rules.widest:
        return CellVerdict(TOO_FEW, f"{said} is wider than {rules.widest:g} to either side", *bounds)
    return CellVerdict(REPRODUCED, f"{said} holds it", *bounds)


def rounding(value: float) -> float:
    """Half a unit of the last digit that `value` was written with; at least one decimal is assumed."""
    decimals = len(f"{value:.10f}".rstrip("0").partition(".")[2])
    return 0.5 * 10.0 ** -max(1, decimals)


def _variance(variance: float, n: int, how: str) -> float:
    """Of a mean of n values; a median of normal values varies pi/2 times as much (exact for large n)."""
    return variance / n * (math.pi / 2 if how == "median" and n > 2 else 1.0)


def _welch(a: float, n: int, b: float, m: int) -> int:
    """Degrees of freedom, rounded down."""
    below = a**2 / (n - 1) + b**2 / (m - 1)
    return max(1, int((a + b) ** 2 / below)) if below > 0 else n + m - 2


def _interval(centre: float, half: float) -> tuple[float, float]:
    return centre - half, centre + half


def _interval_text(d: float, half: float) -> str:
    return f"{d - half:+.2f} to {d + half:+.2f}"
