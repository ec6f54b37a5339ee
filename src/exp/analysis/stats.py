"""Mean and spread over seeds, paired differences, and how far to believe them.

Without SciPy, whose import alone would cost a fifth of the time that a table of a thousand runs may take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

LEVEL = 0.95
# 2^20 sign patterns are counted one by one; above that, PATTERNS of them are drawn.
EXACT_UP_TO = 20
PATTERNS = 100_000


@dataclass(frozen=True)
class Summary:
    """`std` has ddof 1; it and the t-interval [low, high] are NaN for one value, all of it for none."""

    n: int
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """Differences to the baseline, one a seed that both have. `holm` is `p` adjusted over the family.

    `smallest` is the smallest p that `n` pairs can give at all: 2 / 2^n, two-sided.
    """

    n: int
    mean: float
    low: float
    high: float
    p: float
    smallest: float
    exact: bool
    holm: float = math.nan


def summarize(values: Sequence[float]) -> Summary:
    n = len(values)
    if n == 0:
        return Summary(0, math.nan, math.nan, math.nan, math.nan)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(1, mean, math.nan, math.nan, math.nan)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = t_quantile((1 + LEVEL) / 2, n - 1) * std / math.sqrt(n)
    return Summary(n, mean, std, mean - half, mean + half)


def paired(values: Mapping[int, float], baseline: Mapping[int, float]) -> Paired | None:
    """By seed, over the seeds that both have; None where they share none."""
    seeds = sorted(set(values) & set(baseline))
    differences = [values[seed] - baseline[seed] for seed in seeds]
    if not differences:
        return None
    told = summarize(differences)
    p, exact = sign_flip(differences)
    return Paired(told.n, told.mean, told.low, told.high, p, min(1.0, 2.0 ** (1 - told.n)), exact)


def sign_flip(differences: Sequence[float]) -> tuple[float, bool]:
    """Two-sided p of the paired permutation test: the share of sign patterns with at least the |sum| seen.

    Exact up to 20 pairs. Above, a fixed draw of patterns, the observed one counted in (Phipson and Smyth
    2010). The bool says which.
    """
    n = len(differences)
    if n == 0:
        return math.nan, True
    size = max(abs(difference) for difference in differences)
    seen = abs(math.fsum(differences)) - 1e-12 * max(size, 1e-300) * n  # equal sums differ in the last bits
    if n <= 10:
        hits = sum(
            abs(math.fsum(s * d for s, d in zip(signs, differences, strict=True))) >= seen
            for signs in product((1, -1), repeat=n - 1)
            for signs in [(1, *signs)]  # a pattern and its mirror image have the same |sum|
        )
        return hits / 2 ** (n - 1), True
    import numpy

    values = numpy.asarray(differences)
    if n <= EXACT_UP_TO:
        sums = numpy.asarray([values[0]])
        for value in values[1:]:
            sums = numpy.concatenate([sums + value, sums - value])
        return float((numpy.abs(sums) >= seen).mean()), True
    signs = numpy.random.default_rng(0).choice((-1.0, 1.0), size=(PATTERNS, n))
    return float((1 + (numpy.abs(signs @ values) >= seen).sum()) / (1 + PATTERNS)), False


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p of each, step-down (Holm 1979); NaN stays NaN and does not count."""
    order = sorted((value, index) for index, value in enumerate(values) if not math.isnan(value))
    adjusted = [math.nan] * len(values)
    running = 0.0
    for rank, (value, index) in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * value))
        adjusted[index] = running
    return adjusted


def pairs_needed(comparisons: int, level: float = 1 - LEVEL) -> int:
    """Pairs below which Holm over `comparisons` tests can give no p at or under `level`."""
    return 1 + math.ceil(math.log2(comparisons / level) - 1e-9)


@lru_cache
def t_quantile(probability: float, freedom: int) -> float:
    """Student's t, by bisection on its distribution function; within 1e-10 of SciPy's."""
    low, high = 0.0, 1.0
    while _t_below(high, freedom) < probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if _t_below(middle, freedom) < probability:
            low = middle
        else:
            high = middle
        if high - low < 1e-13 * high:
            break
    return (low + high) / 2


def _t_below(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0, by the finite series for whole degrees of freedom (Abramowitz, Stegun 26.7.3)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom == 1:
        return 0.5 + angle / math.pi
    odd = freedom % 2 == 1
    term = cosine if odd else 1.0
    total = term
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + inside / 2
