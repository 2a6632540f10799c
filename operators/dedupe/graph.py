"""From edges between duplicates to decisions: the star rule and connected components.

Both work on nodes 0..n-1 and edge arrays, whatever the edges mean. For the star rule a smaller node
number is the better record, so that callers number records in the survivor order.

Components delete along chains (a chain of 1,000 keeps 1 record); the star rule keeps a record exactly
if no better neighbour is kept, so that every dropped record has a direct edge to its keeper. That set
is the lexicographically first maximal independent set.
"""

import numpy as np

from thresher.operators.dedupe.arrays import I64, Bools

MAX_ROUNDS = 24
"""Random graphs need 2 to 8 parallel rounds. A sorted chain needs one for each two nodes: finish those
one node after another."""


def star_rule(nodes: int, a: I64, b: I64, max_rounds: int = MAX_ROUNDS) -> I64:
    """The keeper of each node, int64 (nodes,): itself if kept, else its least kept neighbour.

    `a`, `b`: the ends of the edges, in any order, repeated or not, no loops.
    """
    low, high = np.minimum(a, b), np.maximum(a, b)
    undecided = np.ones(nodes, bool)
    dropped = np.zeros(nodes, bool)
    live_low, live_high = low, high
    for _ in range(max_rounds):
        if not len(live_low):
            break
        winner = undecided.copy()
        winner[live_high] = False
        beaten = live_high[winner[live_low]]
        dropped[beaten] = True
        undecided[beaten] = False
        undecided[winner] = False
        open_edges = undecided[live_low] & undecided[live_high]
        live_low, live_high = live_low[open_edges], live_high[open_edges]
    _finish(dropped, live_low, live_high)
    keeper = np.arange(nodes)
    lost = dropped[high] & ~dropped[low]
    keeper[dropped] = nodes
    np.minimum.at(keeper, high[lost], low[lost])
    return keeper


def _finish(dropped: Bools, low: I64, high: I64) -> None:
    """The same decision in node order, for edges whose ends are all undecided."""
    order = np.lexsort((high, low))
    for better, worse in zip(low[order].tolist(), high[order].tolist(), strict=True):
        if not dropped[better]:
            dropped[worse] = True


def components(nodes: int, a: I64, b: I64) -> I64:
    """The least node of each node's connected component, int64 (nodes,).

    Hooks every root to its least neighbouring root, then halves paths until flat; the number of
    components that still have edges at least halves in each round.
    """
    parent = np.arange(nodes)
    while len(a):
        root_a, root_b = parent[a], parent[b]
        apart = root_a != root_b
        root_a, root_b = root_a[apart], root_b[apart]
        np.minimum.at(parent, np.maximum(root_a, root_b), np.minimum(root_a, root_b))
        while True:
            grandparent = parent[parent]
            if np.array_equal(grandparent, parent):
                break
            parent = grandparent
        a, b = root_a, root_b
    return parent
