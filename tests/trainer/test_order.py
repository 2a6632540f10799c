"""Permutations, epochs and quotas of a plan."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.loader.plan.keys import key, permute, unpermute
from thresher.loader.plan.mixture import Mixture
from thresher.loader.plan.order import Order


@pytest.mark.acceptance("T1")
@pytest.mark.parametrize("n", [1, 2, 3, 255, 256, 257, 65_537, 10**6])
def test_a_permutation_is_a_bijection_and_its_inverse_returns_the_input(n):
    every = np.arange(n)
    moved = permute(every, n, key("order", 7))
    assert np.array_equal(np.sort(moved), every)
    assert np.array_equal(unpermute(moved, n, key("order", 7)), every)
    assert n < 255 or not np.array_equal(moved, every)


@pytest.mark.acceptance("T2")
def test_no_two_of_seed_and_epoch_share_a_key():
    keys = {key("order", seed, epoch) for seed, epoch in itertools.product(range(100), range(100))}
    assert len(keys) == 10_000
    firsts = {
        tuple(Order("a", 50, s, "one", 1).sample(np.arange(e * 50, e * 50 + 50))) for s, e in [(0, 1), (1, 0)]
    }
    assert len(firsts) == 2


@pytest.mark.acceptance("T3")
@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.integers(1, 300), st.sampled_from([1_000, 65_537, 100_003])),
    st.sampled_from([1, 7, 64]),
    st.sampled_from([16, 1_000, 65_536]),
    st.integers(0, 3),
)
def test_every_sample_stands_once_in_an_epoch(n, chunk, window, epoch):
    if n // window > 2_000:
        window = 1_000
    order = Order("photos", n, 3, "one", chunk, window)
    ordinals = np.arange(epoch * n, (epoch + 1) * n)
    samples = order.sample(ordinals)
    assert np.array_equal(np.sort(samples), np.arange(n))
    assert np.array_equal(order.ordinal(samples, epoch), ordinals)


def test_any_slice_of_an_epoch_is_that_slice():
    order = Order("photos", 5_000, 3, "one", 64, 1_000)
    whole = order.sample(np.arange(15_000))
    assert np.array_equal(order.sample(np.arange(4_321, 5_678)), whole[4_321:5_678])
    assert not np.array_equal(whole[:5_000], whole[5_000:10_000])


@pytest.mark.acceptance("T4")
@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 10**7))
def test_counts_of_sources_stay_within_one_of_their_share(weights, blocks):
    mixture = Mixture(weights, 0, "one")
    counts = mixture.taken(blocks)
    exact = np.array(weights) / sum(weights) * blocks * mixture.block
    assert sum(counts) == blocks * mixture.block
    assert np.all(np.abs(counts - exact) <= 1 + exact * 1e-9 + blocks * mixture.block / 2**32)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.05, 1), min_size=1, max_size=4), st.integers(0, 5_000), st.integers(1, 3_000))
def test_slots_take_each_ordinal_once_and_in_blocks_of_their_own(weights, first, count):
    mixture = Mixture(weights, 5, "one", 256)
    whole = mixture.slots(0, first + count)
    source, ordinal = mixture.slots(first, count)
    assert np.array_equal(source, whole[0][first:]) and np.array_equal(ordinal, whole[1][first:])
    assert len(set(zip(whole[0].tolist(), whole[1].tolist(), strict=True))) == first + count
    for i in range(0, count, 97):
        assert mixture.slot(int(source[i]), int(ordinal[i])) == first + i
