"""Rows of a step to ranks: equal numbers of rows, costs as equal as rows allow."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush


def balanced(costs: Sequence[float], ranks: int) -> list[list[int]]:
    """Rows of each rank by place in `costs`: the dearest first, each to the cheapest rank with room.

    Placement only: which rows make up the step, and so what is learnt, does not depend on it. Ranks differ
    by at most one row, the first having more.
    """
    rooms = [len(costs) // ranks + (rank < len(costs) % ranks) for rank in range(ranks)]
    out: list[list[int]] = [[] for _ in range(ranks)]
    waiting = [(0.0, rank) for rank in range(ranks) if rooms[rank]]
    heapify(waiting)
    for i in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        spent, rank = heappop(waiting)
        out[rank].append(i)
        if len(out[rank]) < rooms[rank]:
            heappush(waiting, (spent + costs[i], rank))
    return [sorted(rows) for rows in out]


def uneven(costs: Sequence[float]) -> float:
    """The greatest of the costs of ranks beside their mean."""
    return max(costs) * len(costs) / (sum(costs) or 1)
