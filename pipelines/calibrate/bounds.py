"""Where to put a bound: to keep a share of the records, or to be right about those that it drops.

Inside, values are scores: those above the bound are dropped, so that `<` is `>` of the negative.
"""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Literal, NamedTuple

import numpy as np

from thresher.pipelines.calibrate.statistics import Estimate, Floats, Groups, Mask, interval, replicates
from thresher.schemas.errors import ThresherError, UsageError

Sign = Literal["<", ">"]
"""What a predicate drops: values below the bound, or above it."""


class Bound(NamedTuple):
    """`COLUMN SIGN TEXT` is the predicate that drops."""

    sign: Sign
    text: str
    """The shortest number between the two values that it separates."""
    estimate: Estimate

    def drops(self, values: Floats) -> Mask:
        """Which values the predicate picks."""
        return values < float(self.text) if self.sign == "<" else values > float(self.text)


def keeping(values: Floats, groups: Groups, share: float, sign: Sign, seed: int) -> Bound:
    """The bound that keeps at least `share` of the values, and as little more as ties allow."""
    order = np.argsort(_scores(values, sign), kind="stable")
    scores, count = _scores(values, sign)[order], len(values)
    dropped = min(math.floor((1 - share) * count + 1e-9), count - 1)
    if dropped < 1:
        need = math.ceil(1 / (1 - share) - 1e-9)
        what = f"{count} values are too few to keep {share:.4g} of them and drop the rest"
        raise UsageError(what, "--keep", f"It takes at least {need}")
    first = count - dropped
    while first < count and scores[first] == scores[first - 1]:
        first += 1
    if first == count:
        equal = int((scores == scores[-1]).sum())
        what = f"{equal} of {count} records have the most extreme value, so that no bound keeps {share:.4g}"
        raise UsageError(what, "--keep", "Keep less, or choose another column")
    weights = replicates(groups, seed)[:, order]
    below = np.cumsum(weights, axis=1)
    places = (below <= share * below[:, -1:]).sum(axis=1)
    return _bound(scores, first, sign, scores[np.minimum(places, count - 1)])


def precise(values: Floats, positive: Mask, groups: Groups, precision: float, sign: Sign, seed: int) -> Bound:
    """Of the bounds whose drops are positive with this precision, the one that drops most positives."""
    order = np.argsort(_scores(values, sign), kind="stable")
    scores, hits = _scores(values, sign)[order], positive[order]
    edges = np.flatnonzero(np.diff(scores)) + 1  # every place where a bound fits
    found = _first_precise(np.ones((1, len(scores))), hits, edges, precision)
    if not np.isfinite(found[0]):
        reached = _precisions(np.ones((1, len(scores))), hits, edges)[0]
        best = f"{reached.max():.3f}" if len(reached) else "none: all values are equal"
        side, other = ("above", "below") if sign == ">" else ("below", "above")
        what = f"no bound reaches the precision {precision:.4g}; the best with --drop {side} is {best}"
        raise ThresherError(what, mend=f"Try --drop {other}, ask for less, or label more")
    right = np.cumsum(hits[::-1])[::-1]
    same = edges[(edges >= found[0]) & (right[edges] == right[int(found[0])])]
    first = int(same[-1])  # the same positives, fewer others
    drawn = _first_precise(replicates(groups, seed)[:, order], hits, edges, precision)
    known = drawn[np.isfinite(drawn)].astype(int)
    return _bound(scores, first, sign, scores[known])


def _first_precise(weights: Floats, hits: Mask, edges: np.ndarray, precision: float) -> Floats:
    """For each row of weights the first edge from which on the drops are precise; NaN if none."""
    good = _precisions(weights, hits, edges) >= precision - 1e-12
    if not good.shape[1]:
        return np.full(len(weights), np.nan)
    return np.where(good.any(axis=1), edges[np.argmax(good, axis=1)], np.nan)


def _precisions(weights: Floats, hits: Mask, edges: np.ndarray) -> Floats:
    """(rows, edges): share of positives among what lies above each edge."""
    total = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1][:, edges]
    right = np.cumsum((weights * hits)[:, ::-1], axis=1)[:, ::-1][:, edges]
    return np.asarray(np.divide(right, total, out=np.zeros_like(right), where=total > 0))


def between(low: float, high: float) -> str:
    """The shortest decimal number x with low < x <= high, nearest to their middle; as a float of 64 bits and,
    since predicates cast it to the column's type, of 32."""
    middle = (Decimal(low) + Decimal(high)) / 2
    for digits in range(1, 18):
        unit = Decimal(1).scaleb(middle.adjusted() - digits + 1)
        for rounding in (ROUND_HALF_EVEN, ROUND_CEILING, ROUND_FLOOR):
            x = middle.quantize(unit, rounding)
            if _separates(float(x), low, high):
                return _text(x)
    return _text(Decimal(repr(high)))


def _separates(x: float, low: float, high: float) -> bool:
    short = np.float32(low), np.float32(x), np.float32(high)
    return low < x <= high and bool(short[0] == short[2] or short[0] < short[1] <= short[2])


def _scores(values: Floats, sign: Sign) -> Floats:
    return values if sign == ">" else -values


def _bound(scores: Floats, first: int, sign: Sign, drawn: Floats) -> Bound:
    """The bound between `first`, the lowest score that it drops, and the one before."""
    text = between(-scores[first], -scores[first - 1])
    factor = 1 if sign == ">" else -1
    if sign == ">":
        text = _text(-Decimal(text))
    return Bound(sign, text, interval(float(text), factor * drawn))


def _text(number: Decimal) -> str:
    text = format(number.normalize(), "f")
    return "0" if text == "-0" else text
