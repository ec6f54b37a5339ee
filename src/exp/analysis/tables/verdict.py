"""Compares our values with a published one by stated rules, never by the mean alone.

In this order, with the difference d = ours - published in the table's unit:

1. reproduced, if the 90% t-interval of d lies inside the tolerance (two one-sided tests at 5%: Schuirmann 1987).
   The published value's own spread counts where the paper gives it (Welch 1947).
2. Where the paper gives its spread, or the value is exact: higher or lower, if the 95% interval of d leaves out 0.
3. Where only a point is known: reproduced, if it lies in our 95% prediction interval for a value that is made as
   theirs was (the mean or median of as many runs; one run where the paper does not say), and that interval is no
   wider than `widest` to either side. Higher or lower, if it lies outside.
4. Otherwise there are not enough seeds.

`over` says whether other seeds, other examples or both could have given another word. Over examples the variance of our
mean score on this evaluation set counts, and the same once more for the published value, unless it is exact: their
answers are not known, so they are taken to vary as ours do and independently of them. On the same examples both move
together, so this interval is too wide rather than too narrow.

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
TOO_FEW_EXAMPLES = "not enough examples"
MOST = 1000  # degrees of freedom, from which t is as good as normal


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


@dataclass(frozen=True)
class OverExamples:
    """Standard error of our mean score over `n` examples, in the table's unit."""

    error: float
    n: int


@dataclass(frozen=True)
class Component:
    """A variance with its degrees of freedom."""

    variance: float
    freedom: int


def judge(
    values: Sequence[float],
    published: Published | None,
    how: str,
    rules: VerdictRules,
    split: str,
    examples: OverExamples | None = None,
) -> CellVerdict:
    """
    Args:
        values: the runs of one cell, one a seed, in the table's unit.
        examples: needed where `rules.over` is not `seeds`.
    """
    if split == "test_server":
        return CellVerdict(NOT_JUDGED, "the test server alone scores this: make a submission")
    if not values:
        return CellVerdict(NOT_RUN, "no finished run")
    if published is None:
        return CellVerdict(NOT_JUDGED, "nothing published")
    if how == "max":
        return CellVerdict(NOT_JUDGED, "a maximum has no t-interval")
    n, over_seeds = len(values), rules.over != "examples"
    if over_seeds and n < max(2, rules.min_seeds):
        return CellVerdict(TOO_FEW, f"{n} of at least {max(2, rules.min_seeds)} seeds")
    d = aggregate(values, how) - published.value
    variance = statistics.variance(values) if over_seeds else 0.0
    of_seeds = [Component(_variance(variance, n, how), n - 1)] if over_seeds else []
    of_examples: list[Component] = []
    if rules.over != "seeds":
        assert examples is not None
        of_examples = [Component(examples.error**2, examples.n - 1)] * (1 if published.exact else 2)
    short = _dominant(of_seeds, of_examples)
    theirs = _their_spread(published, how) if over_seeds else []
    parts = [*of_seeds, *theirs, *of_examples]
    error, freedom = _combined(parts)
    if rules.tolerance is not None:
        half = t_quantile(0.95, freedom) * error
        if abs(d) + half <= rules.tolerance:
            return CellVerdict(
                REPRODUCED,
                f"equal within {rules.tolerance:g}: 90% interval of the difference {_interval_text(d, half)}",
                *_interval(published.value + d, t_quantile(0.975, freedom) * error),
            )
    if published.exact or theirs:
        return _judge_interval(d, t_quantile(0.975, freedom) * error, published, rules, short)
    of = "other examples"
    if over_seeds:
        runs = published.n or 1
        spread = _variance(variance, n, how) + _variance(variance, runs, how)
        error, freedom = _combined([Component(spread, n - 1), *of_examples])
        of = "one run" if runs == 1 else f"a {how} of {runs}"
        of += " on other examples" if of_examples else ""
    return _judge_prediction(d, t_quantile(0.975, freedom) * error, published, rules, of, short)


def _their_spread(published: Published, how: str) -> list[Component]:
    """Nothing where the paper does not give it."""
    if published.exact or published.std is None or published.n is None or published.n < 2 or published.std == 0:
        return []
    return [Component(_variance(published.std**2, published.n, how), published.n - 1)]


def _combined(parts: Sequence[Component]) -> tuple[float, int]:
    """Error, and degrees of freedom rounded down (Welch 1947; Satterthwaite 1946)."""
    total = math.fsum(part.variance for part in parts)
    below = math.fsum(part.variance**2 / part.freedom for part in parts)
    freedom = total**2 / below if below > 0 else sum(part.freedom for part in parts)
    return math.sqrt(total), max(1, min(MOST, int(freedom + 1e-9)))


def _dominant(of_seeds: Sequence[Component], of_examples: Sequence[Component]) -> str:
    """Of which there should be more."""
    seeds, examples = (math.fsum(part.variance for part in parts) for parts in (of_seeds, of_examples))
    return TOO_FEW_EXAMPLES if examples > seeds or not of_seeds else TOO_FEW


def _judge_interval(d: float, half: float, published: Published, rules: VerdictRules, short: str) -> CellVerdict:
    bounds = _interval(published.value + d, half)
    said = f"95% interval of the difference {_interval_text(d, half)}"
    if abs(d) > half + rounding(published.value):
        return CellVerdict(HIGHER if d > 0 else LOWER, f"{said} leaves out 0", *bounds)
    held = "no tolerance is stated" if rules.tolerance is None else f"not inside {rules.tolerance:g}"
    return CellVerdict(short, f"{said} holds 0, {held}", *bounds)


def _judge_prediction(
    d: float, half: float, published: Published, rules: VerdictRules, of: str, short: str
) -> CellVerdict:
    bounds = _interval(published.value + d, half)
    said = f"95% prediction interval for {of} {bounds[0]:.2f} to {bounds[1]:.2f}"
    if abs(d) > half + rounding(published.value):
        return CellVerdict(HIGHER if d > 0 else LOWER, f"{said} leaves it out", *bounds)
    if half > rules.widest:
        return CellVerdict(short, f"{said} is wider than {rules.widest:g} to either side", *bounds)
    return CellVerdict(REPRODUCED, f"{said} holds it", *bounds)


def rounding(value: float) -> float:
    """Half a unit of the last digit that `value` was written with; at least one decimal is assumed."""
    decimals = len(f"{value:.10f}".rstrip("0").partition(".")[2])
    return 0.5 * 10.0 ** -max(1, decimals)


def _variance(variance: float, n: int, how: str) -> float:
    """Of a mean of n values; a median of normal values varies pi/2 times as much (exact for large n)."""
    return variance / n * (math.pi / 2 if how == "median" and n > 2 else 1.0)


def _interval(centre: float, half: float) -> tuple[float, float]:
    return centre - half, centre + half


def _interval_text(d: float, half: float) -> str:
    return f"{d - half:+.2f} to {d + half:+.2f}"
