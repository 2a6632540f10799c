"""Samples into rows: best-fit decreasing, which never splits a sample and loses none."""

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

_BITS = 32
_ROW = (1 << _BITS) - 1


def packed(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Rows of indices into `lengths`, the tokens of each row together at most `capacity`.

    Longest first, each into the fullest row that still holds it, ties by index: the same lengths give
    the same rows anywhere. Every length must be at most `capacity`.
    """
    rows: list[list[int]] = []
    free: list[int] = []  # room and row of each, as one number
    for i in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        need = lengths[i]
        at = bisect_left(free, need << _BITS)
        if at == len(free):
            rows.append([i])
            insort(free, (capacity - need) << _BITS | len(rows) - 1)
        else:
            place = free.pop(at)
            rows[place & _ROW].append(i)
            insort(free, place - (need << _BITS), 0, at)
    return rows
