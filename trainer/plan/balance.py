"""Rows of a step to ranks: equal numbers of rows, costs as equal as rows allow."""

from collections.abc import Sequence


def balanced(costs: Sequence[float], ranks: int) -> list[list[int]]:
    """Rows of each rank by place in `costs`: the dearest first, each to the cheapest rank with room.

    Placement only: which rows make up the step, and so what is learnt, does not depend on it. Ranks differ
    by at most one row.
    """
    most, fuller = -(-len(costs) // ranks), len(costs) % ranks or ranks
    out: list[list[int]] = [[] for _ in range(ranks)]
    sums = [0.0] * ranks
    for i in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        full = sum(len(rows) == most for rows in out) >= fuller
        open_ = [r for r in range(ranks) if len(out[r]) < most - full]
        rank = min(open_, key=lambda r: (sums[r], r))
        out[rank].append(i)
        sums[rank] += costs[i]
    return [sorted(rows) for rows in out]
