"""Edges between near-equal pictures: candidates by 64 bits, expanded to records, verified.

Equal hashes are searched once: a *node* is one distinct (phash, phash256). Records of one node may
still differ in colour or shape: a *class* is one distinct (node, tiny_rgb, aspect). Records of a class
cannot be told apart by any test here, so that its best record stands for all of them without loss.
Edges run between classes. Classes of a node, and of two neighbouring nodes, are all compared up to
256 of them in a node; beyond that each meets the 16 best of the node, which is counted as capped.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from thresher.operators.dedupe.arrays import I64, Bools, equal_rows
from thresher.operators.dedupe.candidates import MAX_REPORTED, SAMPLE, Capped, Work, candidate_pairs
from thresher.operators.dedupe.pool import Pool
from thresher.operators.dedupe.verify import compare, distance256
from thresher.schemas import ThresherError

MIRROR = 1
GREY = 2
EQUAL = -1
"""In place of a table's number: too many looks of one hash."""

SMALL_NODE = 256
BEST = 16
_CHUNK = 1 << 16
_EDGES_PER_RECORD = 20
_ALWAYS_ALLOWED = 10_000_000
"""A burst of some thousand frames has more edges than 20 a record and is no fault."""


class Edges(NamedTuple):
    """Verified pairs of record numbers, a < b, each once; `flags` is a sum of MIRROR and GREY."""

    a: I64
    b: I64
    flags: I64
    stands_for: I64
    """For each record, the best record of its class; only such records have edges."""
    nodes: int
    """Number of distinct hashes."""


class _Nodes(NamedTuple):
    record: I64
    """(nodes,): a record with this hash."""
    classes: I64
    """Best record of each class, node by node, best first."""
    start: I64
    many: I64
    """Of each node's classes."""
    best: I64
    """How many of them, from the first, meet every class of this node and of its neighbours."""


def find_edges(pool: Pool, max_distance: int, max_colour_diff: float, work: Work) -> Edges:
    """All edges of the pool. Raises ThresherError when they are more than 20 a record."""
    nodes, stands_for = _collapse(pool)
    allowed = max(_EDGES_PER_RECORD * len(pool.place), _ALWAYS_ALLOWED)
    found = [np.zeros(0, np.int64)]
    new = 0
    for a, b, mirror in _class_pairs(pool, nodes, max_distance, work):
        same, grey = compare(pool.looks, a, b, mirror, max_colour_diff)
        flags = np.where(mirror, MIRROR, 0) + np.where(grey, GREY, 0)
        packed = np.minimum(a, b) << 32 | np.maximum(a, b) << 2 | flags
        found.append(packed[same | grey])
        new += len(found[-1])
        if new > allowed:
            found, new = [_distinct(found, allowed)], 0
    packed = _distinct(found, allowed)
    _describe_capped(pool, nodes, work)
    return Edges(packed >> 32, packed >> 2 & ((1 << 30) - 1), packed & 3, stands_for, len(nodes.record))


def _distinct(found: list[I64], allowed: int) -> I64:
    """Each edge once: capped buckets let a pair meet in several tables."""
    edges = np.unique(np.concatenate(found))
    if len(edges) > allowed:
        raise ThresherError(
            f"more than {allowed} near-duplicate pairs",
            "dedupe.near",
            "Lower max_distance, or drop the repeated material with an earlier select",
        )
    return edges


def _collapse(pool: Pool) -> tuple[_Nodes, I64]:
    looks = pool.looks
    number = np.arange(len(pool.place))
    node = equal_rows(np.column_stack([pool.phash, looks.phash256]))
    stands_for = number.copy()
    several = np.flatnonzero(np.bincount(node, minlength=len(node))[node] > 1)
    if len(several):
        tiny = np.ascontiguousarray(looks.tiny[several]).view(np.uint64)
        key = np.column_stack([node[several].astype(np.uint64), tiny, looks.size[several].astype(np.uint64)])
        stands_for[several] = several[equal_rows(key)]
    record = np.flatnonzero(node == number)
    classes = np.flatnonzero(stands_for == number)
    node_number = np.searchsorted(record, node[classes])
    classes = classes[np.argsort(node_number, kind="stable")]
    count = np.bincount(node_number, minlength=len(record))
    start = np.cumsum(count) - count
    best = np.where(count <= SMALL_NODE, count, BEST)
    return _Nodes(record, classes, start, count, best), stands_for


def _describe_capped(pool: Pool, nodes: _Nodes, work: Work) -> None:
    """Capped buckets' samples as record numbers, and nodes with too many classes beside them."""
    work.capped = [c._replace(sample=tuple(nodes.record[list(c.sample)].tolist())) for c in work.capped]
    large = np.flatnonzero(nodes.many > SMALL_NODE)
    largest = large[np.argsort(-nodes.many[large], kind="stable")][:MAX_REPORTED]
    more = []
    for i in largest.tolist():
        size = int(nodes.many[i])
        sample = nodes.classes[nodes.start[i] :][: min(size, SAMPLE)]
        more.append(Capped(EQUAL, int(pool.phash[nodes.record[i]]), size, tuple(sample.tolist())))
    work.cap(more, len(large))


def _class_pairs(
    pool: Pool, nodes: _Nodes, max_distance: int, work: Work
) -> Iterator[tuple[I64, I64, Bools]]:
    """Pairs of classes whose 256-bit hashes are close."""
    phash256 = pool.looks.phash256
    several = np.flatnonzero(nodes.many > 1)
    for i, j, _ in _products(nodes, several, several):
        once = i > j
        yield nodes.classes[i[once]], nodes.classes[j[once]], np.zeros(int(once.sum()), bool)
    for pairs in candidate_pairs(pool.phash[nodes.record], work):
        distance = distance256(phash256, nodes.record[pairs.a], nodes.record[pairs.b], pairs.mirror)
        close = distance <= max_distance
        mirror = pairs.mirror[close]
        for i, j, pair in _products(nodes, pairs.a[close], pairs.b[close]):
            yield nodes.classes[i], nodes.classes[j], mirror[pair]
        for j, i, pair in _products(nodes, pairs.b[close], pairs.a[close], beyond=True):
            yield nodes.classes[i], nodes.classes[j], mirror[pair]


def _products(nodes: _Nodes, u: I64, v: I64, beyond: bool = False) -> Iterator[tuple[I64, I64, I64]]:
    """Places of (class of u, class of v) and the number of the pair (u, v) they belong to.

    All of u's classes with the best of v's; `beyond`: only those of u's that are not among its best,
    which completes the product when u and v have changed places.
    """
    skip = nodes.best[u] if beyond else np.zeros(len(u), np.int64)
    rows, columns = nodes.many[u] - skip, nodes.best[v]
    sizes = rows * columns
    ends = np.cumsum(sizes)
    for low in range(0, int(ends[-1]) if len(ends) else 0, _CHUNK):
        k = np.arange(low, min(low + _CHUNK, int(ends[-1])))
        pair = np.searchsorted(ends, k, side="right")
        within = k - (ends[pair] - sizes[pair])
        i = nodes.start[u[pair]] + skip[pair] + within // columns[pair]
        j = nodes.start[v[pair]] + within % columns[pair]
        yield i, j, pair
