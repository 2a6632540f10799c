"""Verdicts on simulated tables of losses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from thresher.pipelines.ablate.statistics import Table, Verdict, judge, paired_t, seeds_for, sign_flip
from thresher.pipelines.ablate.student import below, quantile

NAMED = (Verdict.A, Verdict.B)


def simulated(number, seeds, effect, sigma, groups=20):
    """Losses of groups that differ much, of seeds that differ, and of arms that differ by `effect`."""
    random = np.random.default_rng([number, seeds])
    base = random.gamma(4, 1, groups) * (1 + 0.05 * random.standard_normal((seeds, 1)))
    noise = 0.2 * sigma * random.standard_normal((seeds, groups))
    return Table(base, base * (1 + effect + sigma * random.standard_normal((seeds, 1)) + noise))


@pytest.mark.acceptance("T29")
def test_a_set_against_itself_gets_no_verdict_and_a_planted_difference_is_found():
    delta = sigma = 0.01
    seeds = max(6, seeds_for(2 * sigma, sigma))
    null = [judge(simulated(i, seeds, 0, sigma), delta, sigma).verdict in NAMED for i in range(100)]
    assert sum(null) <= 5
    found = [judge(simulated(i, seeds, 2 * sigma, sigma), delta, sigma).verdict for i in range(100)]
    assert found.count(Verdict.A) >= 80 and Verdict.B not in found
    more = seeds_for(sigma, sigma)
    found = [judge(simulated(i, more, -sigma, sigma), sigma / 2, sigma).verdict for i in range(100)]
    assert more == 10 and found.count(Verdict.B) >= 75


@pytest.mark.parametrize("sigma, seeds", [(0.0025, 3), (0.005, 4), (0.01, 10), (0.02, 34)])
def test_seeds_for_a_difference_of_one_percent(sigma, seeds):
    assert seeds_for(0.01, sigma) == seeds


def test_what_there_is_no_verdict_on():
    clear = simulated(1, 6, 0.1, 0.01)
    assert judge(clear, 0.01, 0.01).verdict is Verdict.A
    refused = judge(clear, 0.01, None)
    assert refused.verdict is Verdict.OPEN and "without an A/A run" in refused.why
    few = judge(simulated(1, 5, 0.1, 0.01), 0.03, 0.01)
    assert few.verdict is Verdict.OPEN and few.p >= 2 / 2**5 and few.to_decide == 1
    same = judge(simulated(1, 8, 0.0, 0.001), 0.01, 0.001)
    assert same.verdict is Verdict.SAME and same.to_decide == 0
    wide = judge(simulated(1, 6, 0.0, 0.05), 0.01, 0.05)
    assert wide.verdict is Verdict.OPEN and wide.to_decide > 100
    assert judge(clear, 0.01, 0.01) == judge(clear, 0.01, 0.01)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=10))
def test_intervals_and_tests_are_those_of_scipy(values):
    differences = np.array(values)
    flips = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    if np.abs(differences).sum() > 0:
        assert sign_flip(differences) == pytest.approx(flips.pvalue)
    if differences.std() > 1e-6:
        ours, theirs = paired_t(differences), stats.ttest_1samp(differences, 0).confidence_interval()
        assert ours == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("free", [1, 2, 3, 4, 5, 9, 30, 101])
def test_student(free):
    for t in (-5, -1, 0, 0.3, 2, 9):
        assert below(t, free) == pytest.approx(stats.t.cdf(t, free), abs=1e-12)
    for share in (0.025, 0.5, 0.9, 0.975, 0.995):
        assert quantile(share, free) == pytest.approx(stats.t.ppf(share, free), abs=1e-9)
