"""Samples into rows: best-fit decreasing, which never splits a sample and loses none."""

from bisect import bisect_left, insort
from collections.abc import Sequence


def packed(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Rows of indices into `lengths`, the tokens of each row together at most `capacity`.

    Longest first, each into the fullest row that still holds it, ties by index: the same lengths give
    the same rows anywhere. Every length must be at most `capacity`.
    """
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        need = lengths[i]
        at = bisect_left(free, (need, -1))
        if at == len(free):
            row, room = len(rows), capacity
            rows.append([])
        else:
            room, row = free.pop(at)
        rows[row].append(i)
        insort(free, (room - need, row))
    return rows
