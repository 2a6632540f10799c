"""Splits by whole groups, so that near-duplicates are never on both sides; a function of the groups alone."""

import numpy as np
from numpy.typing import NDArray

from thresher.pipelines.calibrate.statistics import Groups, Mask
from thresher.schemas.errors import UsageError
from thresher.schemas.ids import keyed_hash

HELD_OUT = 0.3
FOLDS = 5
LEAST = 3
"""Groups of each class: one to hold out and two to fit in turn."""


def held_out(groups: Groups, classes: NDArray[np.int64], names: list[str], seed: int) -> Mask:
    """Which records are held out: of each class 30 % of its groups, at least one.

    `names[c]` names class c. Raises UsageError where a class has too few groups."""
    dealt = _dealt(groups, classes, len(names), "held out", seed)
    chosen = [group for own in dealt if len(own) for group in own[: max(1, round(HELD_OUT * len(own)))]]
    held = np.isin(groups, np.array(chosen, np.uint64))
    for c, name in enumerate(names):
        of_class = classes == c
        sides = [len(np.unique(groups[of_class & side])) for side in (held, ~held)]
        if sides[0] < 1 or sides[1] < LEAST - 1:
            what = f"the class {name!r} has {sum(sides)} independent groups of records, of {LEAST} at least"
            raise UsageError(what, "--labels", "Label more records of that class")
    return held


def folds(groups: Groups, classes: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """The fold of each record, dealt out class by class; no more folds than a class has groups."""
    dealt = _dealt(groups, classes, count, "folds", seed)
    number = max(2, min(FOLDS, *(len(np.unique(groups[classes == c])) for c in range(count))))
    fold = {int(group): i % number for own in dealt for i, group in enumerate(own)}
    return np.array([fold[int(group)] for group in groups], np.int64)


def _dealt(groups: Groups, classes: NDArray[np.int64], count: int, purpose: str, seed: int) -> list[Groups]:
    """The groups of each class in an order of their own. A group with records of several classes belongs to
    that which is in the fewest groups: a rare class must be on both sides, a frequent one is anyway."""
    names, place = np.unique(groups, return_inverse=True)
    holds = np.zeros((len(names), count), np.bool_)
    holds[place, classes] = True
    main = np.where(holds, holds.sum(axis=0), len(names) + 1).argmin(axis=1)
    rank = keyed_hash(names, f"calibrate {purpose}", seed)
    order = np.lexsort((names, rank))
    return [names[order[main[order] == c]] for c in range(count)]
