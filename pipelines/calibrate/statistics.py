"""Estimates with 95 % intervals. Whole groups are drawn anew, so that near-duplicates count as one.

The bootstrap is Poisson's: a group's weight in a replicate is a pure function of (seed, replicate, group),
so that neither order nor parts matter.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.schemas.ids import uniform

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Groups = NDArray[np.uint64]

REPLICATES = 1000
BINS = 10
_Z = 1.959963984540054
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""The 97.5 % point of Student's t for 1 to 10 degrees of freedom."""
_POISSON = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])


class Estimate(NamedTuple):
    """A value and its 95 % interval: low <= value <= high."""

    value: float
    low: float
    high: float


class Bin(NamedTuple):
    """Records of one tenth of the probabilities: what was said of them, and what they are."""

    said: float
    found: Estimate
    records: int


def wilson(share: float, trials: int) -> Estimate:
    """The score interval of Wilson (1927) around a share of `trials` independent draws."""
    scale = 1 / (1 + _Z**2 / trials)
    middle = scale * (share + _Z**2 / (2 * trials))
    half = scale * _Z * math.sqrt(share * (1 - share) / trials + (_Z / (2 * trials)) ** 2)
    return Estimate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def replicates(groups: Groups, seed: int) -> Floats:
    """Weights (REPLICATES, n): Poisson of mean 1 for each group."""
    drawn = [uniform(groups, f"calibrate bootstrap {b}", seed) for b in range(REPLICATES)]
    return np.searchsorted(_POISSON, np.stack(drawn)).astype(np.float64)


def interval(value: float, found: Floats) -> Estimate:
    """`value` with the middle 95 % of its replicates (NaN: not defined there)."""
    known = found[np.isfinite(found)]
    if not len(known):
        return Estimate(value, value, value)
    low, high = np.percentile(known, [2.5, 97.5])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def share(hits: Mask, among: Mask, groups: Groups, weights: Floats) -> Estimate:
    """The share of `hits` among some records (at least one).

    The wider of the bootstrap's interval and of Wilson's for as many draws as there are groups: the
    bootstrap of "all of them" has no width."""
    count = int(among.sum())
    value = float((hits & among).sum() / count)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = interval(value, (weights @ (hits & among)) / (weights @ among))
    plain = wilson(value, len(np.unique(groups[among])))
    return Estimate(value, min(drawn.low, plain.low), max(drawn.high, plain.high))


def auc(scores: Floats, positive: Mask, groups: Groups, weights: Floats) -> Estimate:
    """Area under the ROC curve: how often a positive record scores above a negative one.

    Where every replicate is equal (classes wholly apart), the interval is Wilson's for the groups of the
    smaller class, which bounds the variance of any AUC (Birnbaum and Klose 1957). Else it is the bootstrap's,
    made wider for so few groups, of which a bootstrap knows too little (Hesterberg 2015, section 5.3)."""
    value = float(_areas(scores, positive, np.ones((1, len(scores))))[0])
    drawn = interval(value, _areas(scores, positive, weights))
    count = min(len(np.unique(groups[side])) for side in (positive, ~positive))
    if drawn.low == drawn.high:
        return wilson(value, count)
    wider = expansion(count)
    low, high = value - wider * (value - drawn.low), value + wider * (drawn.high - value)
    return Estimate(value, max(0.0, low), min(1.0, high))


def expansion(count: int) -> float:
    """By how much a bootstrap of `count` groups is too narrow: Student's t for the normal's, and the variance
    without Bessel's correction."""
    free = max(count - 1, 1)
    student = _STUDENT[free - 1] if free <= len(_STUDENT) else _Z + (_Z**3 + _Z) / (4 * free)
    return student / _Z * math.sqrt((free + 1) / free)


def _areas(scores: Floats, positive: Mask, weights: Floats) -> Floats:
    """AUC for each row of weights; ties count half."""
    _, place = np.unique(scores, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    above = np.add.reduceat((weights * positive)[:, order], starts, axis=1)
    below = np.add.reduceat((weights * ~positive)[:, order], starts, axis=1)
    won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(won / (above.sum(axis=1) * below.sum(axis=1)))


def curve(probabilities: Floats, positive: Mask, groups: Groups, weights: Floats) -> list[Bin]:
    """The calibration curve in ten bins; empty ones are left out."""
    place = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    bins = []
    for i in np.unique(place):
        here = place == i
        found = share(positive, here, groups, weights)
        bins.append(Bin(float(probabilities[here].mean()), found, int(here.sum())))
    return bins


def correlation(scores: Floats, wanted: Floats, weights: Floats) -> Estimate:
    """Pearson's, of predictions with numeric labels; 0 where either does not vary."""
    value = float(np.nan_to_num(_correlations(scores, wanted, np.ones((1, len(scores))))[0]))
    return interval(value, _correlations(scores, wanted, weights))


def _correlations(a: Floats, b: Floats, weights: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights.sum(axis=1)
        da, db = a - ((weights @ a) / total)[:, None], b - ((weights @ b) / total)[:, None]
        spread = np.sqrt((weights * da**2).sum(axis=1) * (weights * db**2).sum(axis=1))
        return np.asarray((weights * da * db).sum(axis=1) / spread)
