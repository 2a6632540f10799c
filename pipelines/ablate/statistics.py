"""What paired training runs of two sets tell: an interval, an exact test, and a verdict or none.

Every number is a share: 0.01 is a loss 1 % higher under B than under A, so above 0 speaks for A.
"""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.pipelines.ablate.student import quantile
from thresher.pipelines.calibrate.statistics import expansion

Floats = NDArray[np.float64]

FEWEST = 6
"""Seeds of a claim: with fewer, the sign-flip test cannot fall below 2 / 2^5 = 0.06."""
DRAWS = 10_000
_EXACT = 16
"""Up to so many seeds all sign flips are counted; beyond, as many as of 16 seeds are drawn."""
_AT_ONCE = 1_000


class Verdict(StrEnum):
    """What may be said of two sets."""

    A = "A better"
    B = "B better"
    SAME = "no difference beyond delta"
    OPEN = "undecided"


class Table(NamedTuple):
    """Held-out losses of both arms: sums of each group, (seeds, groups), of the same held-out samples."""

    a: Floats
    b: Floats

    @property
    def differences(self) -> Floats:
        """(seeds,): d_k, by how much B's loss is above A's, as a share of A's."""
        return self.b.sum(axis=1) / self.a.sum(axis=1) - 1


class Interval(NamedTuple):
    """low <= high."""

    low: float
    high: float


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on."""

    verdict: Verdict
    why: str
    seeds: int
    mean: float
    interval: Interval
    """Paired t, 95 %."""
    bootstrap: Interval
    """Two-level bootstrap, 95 %."""
    p: float
    """Of the exact sign-flip test, two-sided."""
    sigma: float
    """Standard deviation of the paired differences."""
    floor: float | None
    """The same of an A/A run: what order alone does. None without one."""
    delta: float
    needed: int
    """Seeds that find a difference of delta in 80 of 100 such comparisons."""
    to_decide: int
    """Further seeds that would decide what is undecided; 0 for a verdict."""

    def as_json(self) -> dict[str, Any]:
        """Plain values; intervals as lists."""
        return asdict(self) | {"interval": [*self.interval], "bootstrap": [*self.bootstrap]}


def judge(table: Table, delta: float, floor: float | None) -> Judgement:
    """Judge two sets by at least two seeds. `delta`: the least difference that matters; `floor`: the standard
    deviation of A/A differences, without which there is no verdict.

    A set is better only if the t interval, the bootstrap's and the sign-flip test at 5 % all say so.
    """
    found = table.differences
    n, mean, sigma = len(found), float(found.mean()), float(found.std(ddof=1))
    interval, bootstrap, p = paired_t(found), two_level(table), sign_flip(found)
    narrow = paired_t(found, 0.90)
    spread = max(sigma, floor or 0.0)
    needed = seeds_for(delta, spread)
    apart = p <= 0.05 and _excludes_zero(interval) and _excludes_zero(bootstrap)
    verdict, further = Verdict.OPEN, 0
    if floor is None:
        why = "without an A/A run nobody knows what order alone does, so there is no verdict"
    elif n < FEWEST:
        why = f"{n} seeds are a screen; a claim takes {FEWEST}"
        further = max(FEWEST, seeds_for(max(abs(mean), delta), spread)) - n
    elif -delta < narrow.low and narrow.high < delta:
        verdict, why = Verdict.SAME, f"the difference lies within {delta:.2g} either way (90 % interval)"
    elif apart:
        verdict = Verdict.A if mean > 0 else Verdict.B
        why = "the t interval, the bootstrap and the sign-flip test agree"
    else:
        why = "the difference is neither beyond chance nor within delta"
        further = max(needed, seeds_for(max(abs(mean), delta / 2), spread), n + 1) - n
    return Judgement(
        verdict, why, n, mean, interval, bootstrap, p, sigma, floor, delta, needed, max(further, 0)
    )


def paired_t(differences: Floats, share: float = 0.95) -> Interval:
    """The interval of the mean of paired differences (n >= 2), by Student's t."""
    n, mean = len(differences), float(differences.mean())
    half = quantile((1 + share) / 2, n - 1) * float(differences.std(ddof=1)) / math.sqrt(n)
    return Interval(mean - half, mean + half)


def sign_flip(differences: Floats) -> float:
    """Two-sided p: the share of sign flips whose mean is at least as far from 0. Exact up to 16 seeds."""
    n = len(differences)
    if n <= _EXACT:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
    else:
        signs = _generator("sign flips", n).choice((-1.0, 1.0), (1 << _EXACT, n))
    reached = abs(float(differences.sum()))
    return float((np.abs(signs @ differences) >= reached * (1 - 1e-12)).mean())


def two_level(table: Table) -> Interval:
    """The 95 % interval of the mean difference when seeds, then held-out groups are drawn anew 10,000 times.

    A bootstrap of few seeds is too narrow: it is widened as Hesterberg (2015) says.
    """
    mean, wider = float(table.differences.mean()), expansion(len(table.a))
    low, high = np.percentile(np.concatenate(list(_drawn(table))), [2.5, 97.5])
    return Interval(mean - wider * (mean - float(low)), mean + wider * (float(high) - mean))


def _drawn(table: Table) -> Iterator[Floats]:
    seeds, groups = table.a.shape
    for chunk in range(DRAWS // _AT_ONCE):
        random = _generator("two levels", chunk)
        counts = random.multinomial(groups, np.full(groups, 1 / groups), size=_AT_ONCE).astype(np.float64)
        chosen = random.integers(0, seeds, (_AT_ONCE, seeds))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.nan_to_num((counts @ table.b.T) / (counts @ table.a.T) - 1)
        yield np.take_along_axis(found, chosen, axis=1).mean(axis=1)


def seeds_for(delta: float, sigma: float) -> int:
    """Seeds that find a difference of `delta` in 80 of 100 comparisons, two-sided at 5 %."""
    return math.ceil(7.85 * (sigma / delta) ** 2 + 2)


def _excludes_zero(interval: Interval) -> bool:
    return interval.low > 0 or interval.high < 0


def _generator(*what: str | int) -> np.random.Generator:
    """Counter-based, so that a draw follows from its name alone."""
    key = blake2b(json.dumps(["ablate", *what]).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
