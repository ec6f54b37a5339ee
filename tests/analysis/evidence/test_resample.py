"""Tests over examples against SciPy and statsmodels, and against simulations with a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from exp.analysis.evidence import resample
from exp.analysis.evidence.resample import ItemParts


def ratio(sums):
    return sums[..., 0] / sums[..., 1]


def parts_of(values):
    """Means of [n, runs] numbers."""
    values = np.asarray(values, dtype=float)
    return ItemParts(np.stack([values, np.ones_like(values)], axis=-1), ratio)


DIFFERENCE = np.array([[1.0, -1.0]])


@pytest.fixture(scope="module")
def pair():
    dice = np.random.default_rng(3)
    return dice.gamma(0.6, 2.0, (80, 2)) * [1.0, 0.6]


def test_bca_equals_scipys(pair):
    parts = parts_of(pair)
    drawn = resample.bootstrap(parts, DIFFERENCE)
    value = DIFFERENCE @ parts.scores()
    low, high = resample.bca(drawn, value, parts.without_each() @ DIFFERENCE.T)
    with_each = (pair[:, 0] - pair[:, 1],)
    theirs = stats.bootstrap(with_each, np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(1))
    error = theirs.standard_error
    assert drawn.std(ddof=1) == pytest.approx(error, rel=0.03)
    assert [low[0], high[0]] == pytest.approx(list(theirs.confidence_interval), abs=0.08 * error)
    percentile = np.quantile(drawn, [0.025, 0.975])
    assert low[0] > percentile[0] + 0.05 * error  # the correction for skewness is there


def test_what_never_varies_has_an_interval_without_width():
    parts = parts_of(np.ones((30, 2)))
    low, high = resample.bca(resample.bootstrap(parts, DIFFERENCE), np.zeros(1), parts.without_each() @ DIFFERENCE.T)
    assert (low[0], high[0]) == (0.0, 0.0)
    assert resample.randomisation(parts, [[(0, 1)]]) == [1.0]
    assert math.isnan(resample.detectable(0.0, 29))


def test_mcnemar_and_randomisation_equal_statsmodels():
    from statsmodels.stats.contingency_tables import mcnemar

    first = np.array([1.0] * 50 + [1.0] * 14 + [0.0] * 5 + [0.0] * 31)
    second = np.array([1.0] * 50 + [0.0] * 14 + [1.0] * 5 + [0.0] * 31)
    p, only_first, only_second = resample.mcnemar(first, second)
    assert (only_first, only_second) == (14, 5)
    assert p == pytest.approx(mcnemar([[50, 14], [5, 31]], exact=True).pvalue, rel=1e-12)
    drawn = resample.randomisation(parts_of(np.stack([first, second], axis=1)), [[(0, 1)]])
    assert drawn[0] == pytest.approx(p, abs=4 * math.sqrt(p / 9999))
    assert resample.mcnemar(first, first)[0] == 1.0


def test_clustered_errors_equal_statsmodels(pair):
    import statsmodels.api as sm

    clusters = np.repeat(np.arange(16), 5)
    values = pair[:, 0] + np.repeat(np.random.default_rng(4).normal(0, 1, 16), 5)
    fitted = sm.OLS(values, np.ones(80)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True, "df_correction": False}
    )
    grouped = parts_of(values[:, None]).clustered(clusters)
    error = resample.error_of(resample.pseudo_values(grouped))[0]
    # Their correction is G/(G-1) x (n-1)/(n-1); a jackknife over equal clusters is the same number.
    assert error == pytest.approx(fitted.bse[0], rel=0.01)
    assert error > 1.3 * resample.error_of(resample.pseudo_values(parts_of(values[:, None])))[0]


def test_crossed_effects_equal_statsmodels():
    import pandas as pd
    import statsmodels.api as sm

    dice = np.random.default_rng(8)
    n, seeds = 40, 6
    table = 0.5 + dice.normal(0, 1.0, (n, 1)) + dice.normal(0, 0.7, (1, seeds)) + dice.normal(0, 0.8, (n, seeds))
    found = resample.crossed(table, float(table.mean()))
    rows = [{"y": table[i, s], "example": i, "seed": s, "all": 1} for i in range(n) for s in range(seeds)]
    vc = {"example": "0 + C(example)", "seed": "0 + C(seed)"}
    fitted = sm.MixedLM.from_formula("y ~ 1", groups="all", vc_formula=vc, data=pd.DataFrame(rows)).fit(reml=True)
    parts = dict(zip(fitted.model.exog_vc.names, fitted.vcomp, strict=True))
    assert found.of_examples == pytest.approx(parts["example"] / n, rel=0.02)
    assert found.of_seeds == pytest.approx(parts["seed"] / seeds, rel=0.02)
    assert found.of_both == pytest.approx(fitted.scale / (n * seeds), rel=0.02)
    assert found.error == pytest.approx(fitted.bse["Intercept"], rel=0.02)
    assert 5 <= found.freedom < 9  # seeds dominate


def test_detectable_difference_equals_statsmodels():
    from statsmodels.stats.power import TTestPower

    effect = TTestPower().solve_power(nobs=50, alpha=0.05, power=0.8)
    assert resample.detectable(2.0 / math.sqrt(50), 49) == pytest.approx(2.0 * effect, rel=1e-4)


def test_a_part_of_the_rows_that_is_all_right_is_no_proof():
    """43 of 557 rows, 11 errors elsewhere: the exact p counts every way in which 11 errors can fall."""
    from scipy.stats import hypergeom

    ones = np.ones((557, 1))
    ones[100:111] = 0
    rows = np.arange(557) < 43
    errors = np.arange(12)
    apart = np.abs(errors / 43 - (11 - errors) / 514)
    exact = hypergeom(557, 11, 43).pmf(errors)[apart >= apart[0] - 1e-12].sum()
    assert resample.exchanged_rows(parts_of(ones), rows) == pytest.approx(exact, abs=0.02)
    assert exact > 0.5


def test_null_comparisons_reject_five_in_a_hundred_and_intervals_cover():
    """A small version of benchmarks/evidence.py: 300 sets of 100 examples, 5 seeds, both random."""
    dice = np.random.default_rng(11)
    rejected = covered = 0
    for _ in range(300):
        shape = (100, 5)
        truth = dice.normal(0, 0.5, (100, 1)) + dice.normal(0, 0.1, (1, 5)) + dice.normal(0, 1.0, shape)
        found = resample.crossed(truth, float(truth.mean()))
        rejected += found.p < 0.05
        covered += abs(found.value) <= found.half
    assert 0.02 <= rejected / 300 <= 0.08
    assert 0.92 <= covered / 300 <= 0.98
