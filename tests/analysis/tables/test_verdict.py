"""The rules of a verdict, against SciPy's t."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from exp.analysis.tables.schema import Published, VerdictRules
from exp.analysis.tables.verdict import OverExamples, judge

RULES = VerdictRules(tolerance=1.0, min_seeds=3, widest=3.0)
TIGHT = [84.9, 85.0, 85.1, 85.0, 85.0]
LOOSE = [83.0, 87.0, 85.0, 84.0, 86.0]


def word(values, published, how="mean", rules=RULES, split="dev"):
    return judge(values, published, how, rules, split).word


def test_equal_within_the_tolerance():
    assert word(TIGHT, Published(85.5)) == "reproduced"
    assert word(LOOSE, Published(85.0, exact=True)) == "not enough seeds"  # the same mean says nothing by itself


def test_the_interval_of_equivalence_is_at_ninety_percent():
    """The difference is 0.5; it passes exactly while 0.5 + t(0.95, 4) * s / sqrt(5) stays below the tolerance."""
    values = [84.0, 84.5, 85.0, 85.5, 86.0]
    reach = 0.5 + stats.t.ppf(0.95, 4) * math.sqrt(0.625 / 5)
    published = Published(84.5, exact=True)
    assert word(values, published, rules=VerdictRules(reach + 1e-6, 3, 3.0)) == "reproduced"
    assert word(values, published, rules=VerdictRules(reach - 1e-6, 3, 3.0)) == "not enough seeds"


def test_a_constant_is_left_out_of_a_95_percent_interval():
    reach = stats.t.ppf(0.975, 4) * math.sqrt(2.5 / 5)
    assert word(LOOSE, Published(85.0 - reach - 0.06, exact=True)) == "higher"
    assert word(LOOSE, Published(85.0 + reach + 0.06, exact=True)) == "lower"
    assert word(LOOSE, Published(85.0 + reach - 0.01, exact=True)) == "not enough seeds"


def test_published_spread_counts_as_welch():
    published = Published(82.0, std=2.0, n=10)
    found = judge(LOOSE, published, "mean", RULES, "dev")
    expected = stats.ttest_ind_from_stats(85.0, math.sqrt(2.5), 5, 82.0, 2.0, 10, equal_var=False)
    assert (expected.pvalue < 0.05) == (found.word == "higher")
    error = math.sqrt(2.5 / 5 + 4.0 / 10)
    freedom = math.floor(error**4 / ((2.5 / 5) ** 2 / 4 + (4.0 / 10) ** 2 / 9))
    assert found.high == pytest.approx(85.0 + stats.t.ppf(0.975, freedom) * error, abs=1e-6)


def test_a_single_published_run_is_set_in_a_prediction_interval():
    reach = stats.t.ppf(0.975, 4) * math.sqrt(0.25 * (1 + 1 / 5))
    values = [84.5, 85.5, 85.0, 84.5, 85.5]
    spread = VerdictRules(tolerance=None, min_seeds=3, widest=3.0)
    assert word(values, Published(85 + reach - 0.01, n=1), rules=spread) == "reproduced"
    assert word(values, Published(85 + reach + 0.01, n=1), rules=spread) == "lower"
    # As a mean of many runs the same value would lie well outside.
    assert word(values, Published(85 + reach - 0.01, n=50), rules=spread) == "lower"


def test_a_wide_prediction_interval_reproduces_nothing():
    found = judge([80.0, 85.0, 90.0], Published(85.0, n=1), "mean", RULES, "dev")
    assert found.word == "not enough seeds" and "wider than 3" in found.why


def test_medians_are_less_sure_than_means():
    rules = VerdictRules(None, 3, 30.0)
    published = Published(80.0, n=5)
    mean, median = (judge(LOOSE, published, how, rules, "dev") for how in ("mean", "median"))
    ratio = (median.high - median.low) / (mean.high - mean.low)
    assert ratio == pytest.approx(math.sqrt(math.pi / 2))


@pytest.mark.parametrize(
    ("values", "published", "how", "split", "expected"),
    [
        ([], Published(85.0), "mean", "dev", "not run"),
        ([85.0], Published(85.0), "mean", "dev", "not enough seeds"),
        ([85.0, 85.0], Published(85.0), "mean", "dev", "not enough seeds"),
        (TIGHT, None, "mean", "dev", "not judged"),
        (TIGHT, Published(85.0), "max", "dev", "not judged"),
        (TIGHT, Published(85.0), "mean", "test_server", "not judged"),
    ],
)
def test_what_is_not_judged(values, published, how, split, expected):
    assert word(values, published, how, split=split) == expected


def test_rounding_of_the_published_value_is_no_difference():
    """279 of 408 is 68.38, which a paper prints as 68.4; runs that all answer alike have no spread to hide it."""
    rules = VerdictRules(None, 3, 3.0)
    values = [100 * 279 / 408] * 3
    assert word(values, Published(68.4, exact=True), rules=rules) == "not enough seeds"
    assert word(values, Published(68.4, n=1), rules=rules) == "reproduced"
    assert word(values, Published(68.5, n=1), rules=rules) == "lower"
    assert word(values, Published(68.42, n=1), rules=rules) == "lower"


EXAMPLES = OverExamples(error=1.2, n=401)


def over(what, tolerance=None, widest=99.0):
    return VerdictRules(tolerance=tolerance, min_seeds=3, widest=widest, over=what)


def test_over_examples_the_seeds_do_not_count():
    reach = stats.t.ppf(0.975, 800) * 1.2 * math.sqrt(2)  # theirs vary as ours do
    for values in (LOOSE, TIGHT, [85.0]):
        inside = judge(values, Published(85.0 - reach + 0.01), "mean", over("examples"), "dev", EXAMPLES)
        outside = judge(values, Published(85.0 - reach - 0.06), "mean", over("examples"), "dev", EXAMPLES)
        assert (inside.word, outside.word) == ("reproduced", "higher")
        assert inside.high - inside.low == pytest.approx(2 * reach, rel=1e-6)
    wide = judge(LOOSE, Published(85.0), "mean", over("examples", widest=3.0), "dev", EXAMPLES)
    assert wide.word == "not enough examples"


def test_a_constant_does_not_vary_over_examples():
    found = judge(TIGHT, Published(85.0, exact=True), "mean", over("examples"), "dev", EXAMPLES)
    assert found.high - found.low == pytest.approx(2 * stats.t.ppf(0.975, 400) * 1.2, rel=1e-6)
    assert found.word == "not enough examples" and "holds 0, no tolerance is stated" in found.why


def test_over_both_the_variances_add_up():
    published = Published(82.0, std=2.0, n=10)
    found = judge(LOOSE, published, "mean", over("both"), "dev", EXAMPLES)
    parts = [(2.5 / 5, 4), (4.0 / 10, 9), (1.2**2, 400), (1.2**2, 400)]
    total = sum(part for part, _ in parts)
    freedom = math.floor(total**2 / sum(part**2 / free for part, free in parts))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(total)
    assert (found.low, found.high) == pytest.approx((85.0 - half, 85.0 + half), abs=1e-6)
    few = judge(LOOSE, Published(85.0, std=2.0, n=10), "mean", over("both"), "dev", OverExamples(0.1, 401))
    assert few.word == "not enough seeds"  # they are the larger part
    one = judge(LOOSE, Published(85.0, n=1), "mean", over("both"), "dev", EXAMPLES)
    assert "for one run on other examples" in one.why
