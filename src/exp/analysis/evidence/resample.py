"""Tests over the examples of one evaluation set, for many runs at once.

Everything is a function of sums over examples (exp.metrics.additive), so a resample of the set is one row of a matrix
of weights, and all resamples of all runs are one product. Conditions are linear in the scores of runs: `contrast` says
with which weight each run counts in each difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Score = Callable[[Array], Array]  # sums [..., k] -> scores [...]

RESAMPLES = 9_999
FEWER = 1_999  # above MANY examples, where the tails of the distribution are near normal
MANY = 20_000
FEW = 2_000  # rows up to which parts of them are dealt RESAMPLES times
LEVEL = 0.95
POWER = 0.8
_CELLS = 4_000_000  # numbers that a block of resamples may hold: 32 MB


@dataclass(frozen=True)
class ItemParts:
    """`values` is [n, runs, k]: what each example, or cluster of examples, adds to each run's sums."""

    values: Array
    score: Score

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def totals(self) -> Array:
        """[runs, k]"""
        return self.values.sum(axis=0)

    def scores(self) -> Array:
        """[runs]"""
        return self.score(self.totals)

    def without_each(self) -> Array:
        """[n, runs] scores with one example left out."""
        size = max(1, _CELLS // max(1, self.totals.size))
        blocks = (self.values[start : start + size] for start in range(0, self.n, size))
        return np.concatenate([self.score(self.totals - block) for block in blocks])

    def clustered(self, clusters: NDArray[np.int64]) -> ItemParts:
        """With the examples of one cluster added up; `clusters` [n] are numbers from 0."""
        found = np.zeros((int(clusters.max()) + 1, *self.values.shape[1:]))
        np.add.at(found, clusters, self.values)
        return ItemParts(found, self.score)


def resamples(n: int) -> int:
    return RESAMPLES if n <= MANY else FEWER


def _blocks(count: int, n: int, width: int) -> Iterator[int]:
    size = max(1, min(count, _CELLS // max(n, width)))
    for start in range(0, count, size):
        yield min(size, count - start)


def bootstrap(parts: ItemParts, contrast: Array, seed: int = 0) -> Array:
    """[resamples, contrasts]: examples drawn with replacement, the same ones for all runs (a paired bootstrap).

    Args:
        contrast: [contrasts, runs] weights.
    """
    dice = np.random.default_rng(seed)
    n, (_, runs, k) = parts.n, parts.values.shape
    flat = parts.values.reshape(n, runs * k)
    found = []
    for size in _blocks(resamples(n), n, runs * k):
        drawn = dice.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        found.append(parts.score((weights @ flat).reshape(size, runs, k)) @ contrast.T)
    return np.concatenate(found)


def bca(drawn: Array, value: Array, jackknife: Array) -> tuple[Array, Array]:
    """Bias-corrected and accelerated 95% intervals (Efron 1987).

    Args:
        drawn: [resamples, contrasts] of `bootstrap`.
        value: [contrasts] of the set itself.
        jackknife: [n, contrasts] with one example left out.
    Returns:
        Low and high ends, [contrasts]; both the value itself where nothing varies.
    """
    count = len(drawn)
    # Discrete scores tie with the observed value; half of the ties lie on either side.
    below = ((drawn < value).sum(0) + 0.5 * (drawn == value).sum(0)) / count
    bias = special.ndtri(np.clip(below, 1 / (count + 1), count / (count + 1)))
    away = jackknife.mean(axis=0) - jackknife
    spread = np.square(away).sum(axis=0)
    speed = np.divide((away**3).sum(0), 6 * spread**1.5, out=np.zeros_like(spread), where=spread > 0)
    ends = []
    for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        z = bias + special.ndtri(share)
        at = special.ndtr(bias + z / (1 - speed * z))
        ends.append(np.array([np.quantile(column, q) for column, q in zip(drawn.T, at, strict=True)]))
    still = np.ptp(drawn, axis=0) == 0
    return np.where(still, value, ends[0]), np.where(still, value, ends[1])


def right_or_wrong(parts: ItemParts) -> Array | None:
    """[n, runs] of 0 and 1, where the score is their mean."""
    if parts.values.shape[2] != 2:
        return None
    ones, counted = parts.values[..., 0], parts.values[..., 1]
    plain = (counted == 1).all() and np.isin(ones, (0.0, 1.0)).all()
    return ones if plain and np.allclose(parts.scores(), ones.mean(axis=0)) else None


def where_all_agree(n: int, value: Array, low: Array, high: Array, rows: Iterable[int]) -> tuple[Array, Array]:
    """Intervals of shares, exact (Clopper and Pearson 1934) where all `n` answers are right, or all wrong: no resample
    of them varies, and yet another example may be otherwise. `rows` are those that hold shares."""
    low, high = low.copy(), high.copy()
    reach = ((1 - LEVEL) / 2) ** (1 / n)
    for row in rows:
        if low[row] == high[row] == value[row] == 1:
            low[row] = reach
        elif low[row] == high[row] == value[row] == 0:
            high[row] = 1 - reach
    return low, high


def exchanged_rows(parts: ItemParts, rows: NDArray[np.bool_], seed: int = 2) -> float:
    """Two-sided p that the scores of some rows and of all others, means over the runs, differ as much where rows are
    dealt to the two parts at random (Pitman 1937). The observed parts count."""
    dice = np.random.default_rng(seed)
    n, (_, runs, k), inside = parts.n, parts.values.shape, int(rows.sum())
    flat = parts.values.reshape(n, runs * k)
    totals = parts.totals

    def apart(sums: Array) -> Array:
        return np.abs((parts.score(sums) - parts.score(totals - sums)).mean(axis=-1))

    seen = apart(parts.values[rows].sum(axis=0))
    hits, count = 0, RESAMPLES if n <= FEW else FEWER
    for size in _blocks(count, n, runs * k):
        dealt = np.argpartition(dice.random((size, n)), inside, axis=1)[:, :inside]
        weights = np.zeros((size, n))
        np.put_along_axis(weights, dealt, 1.0, axis=1)
        hits += int((apart((weights @ flat).reshape(size, runs, k)) >= seen - 1e-12).sum())
    return (1 + hits) / (1 + count)


def randomisation(parts: ItemParts, pairs: Sequence[Sequence[tuple[int, int]]], seed: int = 1) -> Array:
    """Approximate randomisation (Noreen 1989; Yeh 2000): two-sided p, one for each comparison.

    Under the null the two systems' answers to an example can be exchanged. All seeds of an example, or of a cluster,
    are exchanged together. The observed assignment counts (Phipson and Smyth 2010).

    Args:
        pairs: of each comparison the numbers of the runs that are compared with each other.
    """
    dice = np.random.default_rng(seed)
    n, _, k = parts.values.shape
    flat = [pair for group in pairs for pair in group]
    first, second = (np.array([pair[side] for pair in flat], dtype=np.intp) for side in (0, 1))
    totals = parts.totals
    seen = _means(parts.score(totals[first]) - parts.score(totals[second]), pairs)
    change = (parts.values[:, second] - parts.values[:, first]).reshape(n, -1)
    hits = np.zeros(len(pairs))
    count = resamples(n)
    slack = 1e-12 * np.maximum(1.0, np.abs(parts.scores()).max())  # equal sums differ in the last bits
    for size in _blocks(count, n, len(flat) * k):
        exchanged = dice.integers(0, 2, (size, n)).astype(np.float64)
        moved = (exchanged @ change).reshape(size, len(flat), k)
        drawn = parts.score(totals[first] + moved) - parts.score(totals[second] - moved)
        hits += (np.abs(_means(drawn, pairs)) >= np.abs(seen) - slack).sum(axis=0)
    return (1 + hits) / (1 + count)


def _means(values: Array, pairs: Sequence[Sequence[tuple[int, int]]]) -> Array:
    """[..., comparisons] of [..., pairs]: the mean over the pairs of each."""
    ends = np.cumsum([0, *map(len, pairs)])
    return np.stack([values[..., a:b].mean(axis=-1) for a, b in pairwise(ends)], axis=-1)


def mcnemar(first: Array, second: Array) -> tuple[float, int, int]:
    """Exact McNemar test of two systems' 0/1 scores: p, and how often only the first or only the second was right."""
    only_first, only_second = int((first > second).sum()), int((second > first).sum())
    n = only_first + only_second
    p = 1.0 if n == 0 else min(1.0, 2 * float(special.bdtr(min(only_first, only_second), n, 0.5)))
    return p, only_first, only_second


def pseudo_values(parts: ItemParts) -> Array:
    """[n, runs] whose mean is nearly the score, and whose spread is its variance (Tukey 1958). Exact for means."""
    n = parts.n
    return n * parts.scores() - (n - 1) * parts.without_each()


@dataclass(frozen=True)
class Crossed:
    """A mean over seeds and examples, both random and crossed. The parts are variances of the mean and add up."""

    value: float
    of_examples: float
    of_seeds: float
    of_both: float  # what a seed does to an example
    freedom: float

    @property
    def error(self) -> float:
        return float(np.sqrt(self.of_examples + self.of_seeds + self.of_both))

    @property
    def half(self) -> float:
        """Half of the 95% interval."""
        return float(special.stdtrit(self.freedom, (1 + LEVEL) / 2)) * self.error

    @property
    def p(self) -> float:
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return 2 * float(special.stdtr(self.freedom, -abs(self.value) / self.error))


def crossed(differences: Array, value: float) -> Crossed:
    """Crossed random effects by the method of moments, with Satterthwaite's degrees of freedom (Searle 1992, chapter 4;
    the quasi F of Clark 1973).

    Args:
        differences: [n, seeds], at least two of each.
        value: the difference itself, which differs from the mean of pseudo-values in small terms.
    """
    n, seeds = differences.shape
    grand = differences.mean()
    by_example, by_seed = differences.mean(axis=1), differences.mean(axis=0)
    rest = differences - by_example[:, None] - by_seed[None, :] + grand
    squares = np.array(
        [
            seeds * np.square(by_example - grand).sum() / (n - 1),
            n * np.square(by_seed - grand).sum() / (seeds - 1),
            np.square(rest).sum() / ((n - 1) * (seeds - 1)),
        ]
    )
    noise = squares[2] / (n * seeds)
    of_examples, of_seeds = np.maximum(squares[:2] / (n * seeds) - noise, 0.0)
    total = of_examples + of_seeds + noise
    # The mean squares of which the total is made; one that shows no effect of its own is left out.
    weights = np.array([of_examples > 0, of_seeds > 0, 1 - (of_examples > 0) - (of_seeds > 0)]) / (n * seeds)
    freedoms = np.array([n - 1, seeds - 1, (n - 1) * (seeds - 1)])
    below = (np.square(weights * squares) / freedoms).sum()
    freedom = float(np.clip(total**2 / below, 1.0, None)) if below > 0 else float(min(n, seeds) - 1)
    return Crossed(value, float(of_examples), float(of_seeds), float(noise), freedom)


def error_of(pseudo: Array) -> Array:
    """Standard error of the mean of [n, ...] pseudo-values; of clusters it is the clustered one."""
    return np.std(pseudo, axis=0, ddof=1) / np.sqrt(len(pseudo))


def detectable(error: float, freedom: float) -> float:
    """The smallest difference that a two-sided test at 5% finds with a power of 80%, by the noncentral t."""
    if not error > 0:
        return float("nan")
    bound = special.stdtrit(freedom, (1 + LEVEL) / 2)
    low, high = 0.0, float(bound) + 10.0
    for _ in range(60):
        middle = (low + high) / 2
        power = 1 - special.nctdtr(freedom, middle, bound) + special.nctdtr(freedom, middle, -bound)
        low, high = (middle, high) if power < POWER else (low, middle)
    return high * error
