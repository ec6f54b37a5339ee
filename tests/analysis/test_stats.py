"""Against SciPy, and against what small samples cannot give."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats as scipy_stats

from exp.analysis.stats import holm, paired, pairs_needed, sign_flip, summarize, t_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 9, 30, 99])
@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.995])
def test_t_quantile(probability, freedom):
    assert t_quantile(probability, freedom) == pytest.approx(scipy_stats.t.ppf(probability, freedom), rel=1e-9)


def test_mean_spread_and_interval():
    values = [0.80, 0.82, 0.81, 0.85, 0.79]
    told = summarize(values)
    low, high = scipy_stats.t.interval(0.95, 4, loc=told.mean, scale=scipy_stats.sem(values))
    assert told.n == 5 and told.mean == pytest.approx(0.814)
    assert told.std == pytest.approx(scipy_stats.tstd(values))  # ddof 1
    assert (told.low, told.high) == pytest.approx((low, high))


def test_one_value_has_no_spread_and_none_has_nothing():
    assert summarize([0.5]).mean == 0.5 and math.isnan(summarize([0.5]).std) and math.isnan(summarize([0.5]).low)
    assert summarize([]).n == 0 and math.isnan(summarize([]).mean)


@pytest.mark.parametrize("n", [2, 5, 9, 12, 14])
def test_sign_flip_is_exact(n):
    draw = random.Random(n)
    differences = [draw.gauss(0.4, 1) for _ in range(n)]

    def statistic(sample, axis=-1):
        return sample.sum(axis=axis)

    expected = scipy_stats.permutation_test(
        (differences,), statistic, permutation_type="samples", n_resamples=2**15, vectorized=True
    )
    p, exact = sign_flip(differences)
    assert exact and p == pytest.approx(expected.pvalue)


def test_equal_differences_count_as_ties():
    assert sign_flip([0.1] * 6) == (2 / 2**6, True)  # 0.1 + 0.1 + ... has rounding in it
    assert sign_flip([0.0] * 6) == (1.0, True)


def test_many_pairs_are_drawn_and_repeatable():
    draw = random.Random(0)
    differences = [draw.gauss(0.5, 1) for _ in range(25)]
    p, exact = sign_flip(differences)
    assert not exact and p == sign_flip(differences)[0]
    assert p == pytest.approx(scipy_stats.ttest_1samp(differences, 0).pvalue, abs=0.01)


def test_five_pairs_cannot_reach_significance():
    told = paired({s: 1.0 + s for s in range(5)}, {s: float(s) for s in range(5)})
    assert told.p == told.smallest == 0.0625
    assert [pairs_needed(m) for m in (1, 2, 3, 10)] == [6, 7, 7, 9]
    for comparisons in (1, 2, 3, 10):
        assert comparisons * 2.0 ** (1 - pairs_needed(comparisons)) <= 0.05
        assert comparisons * 2.0 ** (2 - pairs_needed(comparisons)) > 0.05


def test_pairs_are_made_by_seed():
    told = paired({1: 0.9, 2: 0.8, 9: 0.1}, {2: 0.7, 1: 0.7, 8: 0.9})
    assert told.n == 2 and told.mean == pytest.approx(0.15)
    assert paired({1: 0.5}, {2: 0.5}) is None


def test_holm():
    # Worked by hand: 3 x 0.01, 2 x 0.03, then the running maximum.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert math.isnan(holm([math.nan, 0.01])[0]) and holm([math.nan, 0.01])[1] == 0.01
