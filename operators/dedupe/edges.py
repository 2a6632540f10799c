"""Edges between near-equal pictures: candidates by 64 bits, verified by everything else.

Records that no test here can tell apart are one *look*: equal hashes, colours and shape. The best of
them stands for all without loss, and edges run between such records.
"""

from typing import NamedTuple

import numpy as np

from thresher.operators.dedupe.arrays import I64, equal_rows
from thresher.operators.dedupe.candidates import Work, candidate_pairs
from thresher.operators.dedupe.pool import Pool
from thresher.operators.dedupe.verify import compare, distance256
from thresher.schemas import ThresherError

MIRROR = 1
GREY = 2

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
    """For each record, the best of its look; only such records have edges."""
    looks: int
    """Number of distinct looks."""


def find_edges(pool: Pool, max_distance: int, max_colour_diff: float, work: Work) -> Edges:
    """All edges of the pool. Raises ThresherError when they are more than 20 a record."""
    looks = pool.looks
    tiny = np.ascontiguousarray(looks.tiny).view(np.uint64)
    stands_for = equal_rows(pool.phash, looks.phash256, tiny, looks.size)
    best = np.flatnonzero(stands_for == np.arange(len(stands_for)))
    allowed = max(_EDGES_PER_RECORD * len(stands_for), _ALWAYS_ALLOWED)
    found, new = [np.zeros(0, np.int64)], 0
    for pairs in candidate_pairs(pool.phash[best], work):
        a, b = best[pairs.a], best[pairs.b]
        close = distance256(looks.phash256, a, b, pairs.mirror) <= max_distance
        found.append((a << 32 | b << 2 | pairs.mirror * MIRROR)[close])
        new += len(found[-1])
        if new > allowed:
            found, new = [_distinct(found, allowed)], 0
    packed = _distinct(found, allowed)
    for start in range(0, len(packed), _CHUNK):
        a, b, mirror = _unpack(packed[start : start + _CHUNK])
        same, grey = compare(looks, a, b, mirror > 0, max_colour_diff)
        packed[start : start + _CHUNK] = np.where(same | grey, a << 32 | b << 2 | mirror | grey * GREY, -1)
    work.capped = [c._replace(sample=tuple(best[list(c.sample)].tolist())) for c in work.capped]
    return Edges(*_unpack(packed[packed >= 0]), stands_for, len(best))


def _unpack(packed: I64) -> tuple[I64, I64, I64]:
    return packed >> 32, packed >> 2 & ((1 << 30) - 1), packed & 3


def _distinct(found: list[I64], allowed: int) -> I64:
    """Each pair once: it meets in several tables."""
    edges = np.unique(np.concatenate(found))
    if len(edges) > allowed:
        raise ThresherError(
            f"more than {allowed} near-duplicate pairs",
            "dedupe.near",
            "Lower max_distance, or drop the repeated material with an earlier select",
        )
    return edges
