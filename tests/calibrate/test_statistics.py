"""Estimates: right, inside their intervals, and independent of order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.pipelines.calibrate import statistics as stats
from thresher.pipelines.calibrate.bounds import between, keeping, precise
from thresher.pipelines.calibrate.fit import Fitter, choose
from thresher.pipelines.calibrate.splits import folds, held_out
from thresher.schemas.errors import ThresherError, UsageError

FAST = settings(max_examples=40, deadline=None)


@st.composite
def judged(draw):
    """(scores with ties, classes, groups), both classes present."""
    n = draw(st.integers(4, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = np.round(rng.normal(size=n), draw(st.integers(0, 3)))
    positive = rng.random(n) < draw(st.floats(0.2, 0.8))
    positive[:2] = True, False
    return scores, positive, rng.integers(0, draw(st.integers(1, n)), n).astype(np.uint64)


@FAST
@given(judged(), st.integers(0, 5))
def test_intervals_hold_their_estimates(given, seed):
    scores, positive, groups = given
    weights = stats.replicates(groups, seed)
    p = 1 / (1 + np.exp(-scores))
    found = [stats.auc(scores, positive, groups, weights), stats.correlation(scores, p, weights)]
    found += [stats.share(positive, scores > 0, groups, weights)] if (scores > 0).any() else []
    found += [b.found for b in stats.curve(p, positive, groups, weights)]
    for one in found:
        assert one.low <= one.value <= one.high
    order = np.random.default_rng(seed).permutation(len(scores))
    again = stats.auc(scores[order], positive[order], groups[order], stats.replicates(groups[order], seed))
    assert again == pytest.approx(found[0], abs=1e-9)


@FAST
@given(judged())
def test_the_area_is_how_often_a_positive_wins(given):
    scores, positive, groups = given
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    assert stats.auc(scores, positive, groups, stats.replicates(groups, 0)).value == pytest.approx(
        np.mean(pairs)
    )


@FAST
@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson(hits, misses):
    found = stats.wilson(hits / (hits + misses), hits + misses)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert stats.wilson(0.5, 100)[1:] == pytest.approx((0.4038315, 0.5961685))  # Wilson (1927) by hand


@FAST
@given(judged(), st.floats(0.05, 0.95), st.sampled_from("<>"))
def test_a_bound_keeps_its_share_and_as_little_more_as_ties_allow(given, share, sign):
    values, _, groups = given
    try:
        bound = keeping(values, groups, share, sign, 0)
    except UsageError:
        worst = values == (values.min() if sign == "<" else values.max())
        assert (1 - share) * len(values) < max(1, worst.sum()) + 1e-6
        return
    kept = ~bound.drops(values)
    assert kept.sum() >= share * len(values) - 1e-6
    assert bound.estimate.low <= float(bound.text) <= bound.estimate.high
    next_out = values[kept].min() if sign == "<" else values[kept].max()
    assert (values[kept] != next_out).sum() < share * len(values), "one value more could go"


@FAST
@given(judged(), st.floats(0.1, 0.99), st.sampled_from("<>"))
def test_a_bound_is_as_precise_as_asked_and_finds_the_most(given, precision, sign):
    values, positive, groups = given
    cuts = np.unique(values)
    tried = {
        c: ((values < c) if sign == "<" else (values > c)) for c in (cuts[1:] if sign == "<" else cuts[:-1])
    }
    right = [positive[t].sum() for t in tried.values() if positive[t].mean() >= precision]
    if not right:
        with pytest.raises(ThresherError, match="no bound reaches the precision"):
            precise(values, positive, groups, precision, sign, 0)
        return
    bound = precise(values, positive, groups, precision, sign, 0)
    dropped = bound.drops(values)
    assert positive[dropped].mean() >= precision - 1e-9 and positive[dropped].sum() == max(right)
    assert bound.estimate.low <= float(bound.text) <= bound.estimate.high


@FAST
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_the_shortest_number_between(a, b):
    low, high = min(a, b), max(a, b)
    if low < high:
        x = float(between(low, high))
        assert low < x <= high
        short = np.float32([low, x, high])
        assert short[0] == short[2] or short[0] < short[1] <= short[2]
    assert between(41.27, 41.35) == "41.3" and between(-1, 1) == "0" and between(300, 301) == "301"


@FAST
@given(judged(), st.integers(0, 3))
def test_no_group_is_on_two_sides(given, seed):
    _, positive, groups = given
    classes = positive.astype(np.int64)
    try:
        held = held_out(groups, classes, ["a", "b"], seed)
    except UsageError as error:
        assert "independent groups" in str(error)
        return
    assert not set(groups[held]) & set(groups[~held]) and 0 < held.sum() < len(held)
    assert {*classes[held]} == {*classes[~held]} == {0, 1}
    fold = folds(groups[~held], classes[~held], 2, seed)
    assert all(len(set(fold[groups[~held] == g])) == 1 for g in groups[~held]) and len(set(fold)) >= 2


def test_a_rare_class_in_every_group_is_on_both_sides():
    """As where each folder has a few bad pictures: by its most frequent class no group is of the rare one."""
    groups = np.repeat(np.arange(7, dtype=np.uint64), 10)
    classes = (np.arange(70) % 10 == 0).astype(np.int64)
    held = held_out(groups, classes, ["good", "bad"], 7)
    assert held.sum() == 20 and classes[held].sum() == 2
    with pytest.raises(
        UsageError, match="the class 'bad' has 2 independent groups of records, of 3 at least"
    ):
        held_out(groups, classes * (groups < 2), ["good", "bad"], 7)


def test_a_bootstrap_of_few_groups_is_made_wider():
    from scipy.stats import t

    for n in range(2, 300):
        wanted = t.ppf(0.975, n - 1) / t.ppf(0.975, 10**9) * np.sqrt(n / (n - 1))
        assert stats.expansion(n) == pytest.approx(wanted, rel=0.02)


def test_the_interval_of_an_area_holds_the_truth_of_other_groups():
    """Positives of 4 groups against negatives of 4; each group has a shift of its own."""
    rng, hits = np.random.default_rng(5), 0
    truth = 0.7602  # P(a > b) of normals one apart, of variance 1: Phi(1 / sqrt(2))
    for seed in range(60):
        groups = np.repeat(np.arange(8, dtype=np.uint64), 20)
        positive = groups < 4
        scores = positive + rng.normal(size=8)[groups.astype(int)] * 0.8 + rng.normal(size=160) * 0.6
        found = stats.auc(scores, positive, groups, stats.replicates(groups, seed))
        hits += found.low <= truth <= found.high
    assert hits >= 53, "95 % but for chance; a plain bootstrap holds it in 51 of 60"


@pytest.mark.parametrize("shape", [(300, 5), (40, 90)])
def test_the_fit_is_scikit_learns(shape):
    """The same optimum as another implementation, for more records than features and for fewer."""
    from sklearn.linear_model import LogisticRegression, Ridge

    rng = np.random.default_rng(1)
    x = rng.normal(size=shape) * 3 + 1
    y = (x[:, 0] + rng.normal(size=len(x)) > 1).astype(float)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    mine = Fitter("logistic", x, one_scale=False)(y, 0.5)
    other = LogisticRegression(C=2.0, tol=1e-10, max_iter=10_000).fit(scaled, y)
    assert np.abs(mine(x) - other.predict_proba(scaled)[:, 1]).max() < 1e-5
    rated = Fitter("ridge", x, one_scale=False)(x[:, 1], 0.5)
    assert np.abs(rated(x) - Ridge(alpha=0.5).fit(scaled, x[:, 1]).predict(scaled)).max() < 1e-8


def test_noise_takes_the_largest_penalty():
    rng = np.random.default_rng(2)
    y = np.arange(60) % 2.0
    penalty, answers = choose("logistic", rng.normal(size=(60, 30)), y, np.arange(60) // 2 % 5, True)
    assert penalty >= 100 and np.abs(answers - 0.5).max() < 0.3
