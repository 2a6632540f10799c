"""The star rule and connected components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.operators.dedupe import graph
from thresher.operators.dedupe.graph import components, star_rule

pairs = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] != e[1])),
    )
)


def greedy(nodes, a, b):
    """The rule as it is stated: in order, keep a node if no better neighbour is kept."""
    neighbours = [set() for _ in range(nodes)]
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        neighbours[max(x, y)].add(min(x, y))
    keeper = list(range(nodes))
    for node in range(nodes):
        kept = [n for n in neighbours[node] if keeper[n] == n]
        keeper[node] = min(kept, default=node)
    return keeper


def ends(edges):
    array = np.array(edges, np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


@pytest.mark.acceptance("DA10")
def test_a_chain_of_nine_keeps_every_other_node():
    keeper = star_rule(9, np.arange(8), np.arange(1, 9))
    assert (keeper == np.arange(9)).sum() == 5
    for node in np.flatnonzero(keeper != np.arange(9)):
        assert abs(keeper[node] - node) == 1 and keeper[keeper[node]] == keeper[node]


@pytest.mark.acceptance("DA11")
@pytest.mark.parametrize("degree", [1, 6, 40])
def test_equals_sequential_greedy(degree):
    rng = np.random.default_rng(degree)
    nodes = 20_000
    a, b = rng.integers(0, nodes, (2, nodes * degree // 2))
    a, b = a[a != b], b[a != b]
    assert star_rule(nodes, a, b).tolist() == greedy(nodes, a, b)


@pytest.mark.acceptance("DA11")
@pytest.mark.parametrize("rounds", [0, 1, 24])
def test_a_sorted_chain_is_finished_in_order(rounds, guard, monkeypatch):
    """A parallel round settles two edges of the chain; the rest are finished one after another."""
    left, finish = [], graph._finish
    monkeypatch.setattr(graph, "_finish", lambda *state: (left.append(len(state[1])), finish(*state)))
    nodes = 100_000
    a = np.arange(nodes - 1)
    shuffled = np.random.default_rng(0).permutation(nodes - 1)
    most = {} if rounds == 24 else {"max_rounds": rounds}
    with guard(10):
        keeper = star_rule(nodes, a[shuffled], a[shuffled] + 1, **most)
    assert keeper.tolist() == [n - n % 2 for n in range(nodes)]
    assert left == [nodes - 1 - 2 * rounds]


@given(pairs)
def test_any_graph_equals_greedy_in_any_edge_order(graph):
    nodes, edges = graph
    a, b = ends(edges)
    assert star_rule(nodes, a, b).tolist() == greedy(nodes, a, b)
    assert star_rule(nodes, b[::-1], a[::-1], max_rounds=1).tolist() == greedy(nodes, a, b)


@pytest.mark.acceptance("DA12")
def test_a_shuffled_chain_of_a_million_is_one_group():
    nodes = 1_000_000
    path = np.random.default_rng(1).permutation(nodes)
    assert not components(nodes, path[:-1], path[1:]).any()


@pytest.mark.acceptance("DA12")
def test_components_equal_scipy():
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(2)
    nodes = 100_000
    a, b = rng.integers(0, nodes, (2, 60_000))
    label = components(nodes, a, b)
    _, expected = connected_components(coo_array((np.ones(len(a)), (a, b)), (nodes, nodes)), directed=False)
    least = np.full(expected.max() + 1, nodes)
    np.minimum.at(least, expected, np.arange(nodes))
    assert np.array_equal(label, least[expected])


@given(pairs)
def test_components_name_their_least_node(graph):
    nodes, edges = graph
    label = components(nodes, *ends(edges))
    assert all(label[x] == label[y] for x, y in edges)
    assert (label <= np.arange(nodes)).all() and np.array_equal(label[label], label)
