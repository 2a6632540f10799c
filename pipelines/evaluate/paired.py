"""Values with 95 % intervals, alone and as differences on the same records.

The bootstrap is Poisson's, by record: its weights are a pure function of (seed, replicate, id), so that
neither order nor parts matter.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.pipelines.calibrate.statistics import Estimate, Floats, expansion, interval, replicates, wilson
from thresher.pipelines.evaluate.measures import AMOUNTS, Ratios

FEW = 10
"""Below so many records no interval is believed (Hesterberg 2015 on small samples)."""


class Outcome(NamedTuple):
    """One measure of one or two columns, on the records where each has it."""

    measure: str
    records: int
    values: list[Estimate]
    difference: Estimate | None
    """The second less the first."""
    won: float
    tied: float
    lost: float
    """Shares of the records where the second is higher, equal, lower; 0 for one column."""

    @property
    def higher(self) -> int | None:
        """Which column is higher, 0 or 1; None where the data do not tell."""
        if self.difference is None or self.records < FEW or self.difference.low <= 0 <= self.difference.high:
            return None
        return int(self.difference.value > 0)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        told = {"measure": self.measure, "records": self.records, "values": [_json(v) for v in self.values]}
        if self.difference is not None:
            told |= {"difference": _json(self.difference), "higher": self.higher}
            told |= {"won": self.won, "tied": self.tied, "lost": self.lost}
        return told


def outcome(measure: str, columns: Sequence[Sequence[Ratios]], ids: NDArray[np.uint64], seed: int) -> Outcome:
    """Of one measure; `columns`: for each column the ratios of each record, `ids` (n,) their hashes."""
    held = np.array([all(measure in row for row in rows) for rows in zip(*columns, strict=True)])
    sums, counts = (
        [np.array([r[measure][k] for r, has in zip(c, held, strict=True) if has], float) for c in columns]
        for k in (0, 1)
    )
    weights = replicates(ids[held], seed)
    wider = expansion(int(held.sum()))
    found = [_value(s, c, weights) for s, c in zip(sums, counts, strict=True)]
    values = [_interval(value, drawn, wider) for value, drawn in found]
    if measure not in AMOUNTS:
        values = [_share(value, int(held.sum())) for value in values]
    if len(columns) == 1:
        return Outcome(measure, int(held.sum()), values, None, 0.0, 0.0, 0.0)
    difference = _interval(found[1][0] - found[0][0], found[1][1] - found[0][1], wider)
    if measure not in AMOUNTS:
        difference = Estimate(difference.value, max(-1.0, difference.low), min(1.0, difference.high))
    apart = np.round(sums[1] / counts[1] - sums[0] / counts[0], 9)
    won, tied, lost = (float(x.mean()) for x in (apart > 0, apart == 0, apart < 0))
    return Outcome(measure, int(held.sum()), values, difference, won, tied, lost)


def _value(sums: Floats, counts: Floats, weights: Floats) -> tuple[float, Floats]:
    """The ratio, and that of each replicate."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(sums.sum() / counts.sum()), np.asarray((weights @ sums) / (weights @ counts))


def _interval(value: float, drawn: Floats, wider: float) -> Estimate:
    """A bootstrap of few records is too narrow."""
    plain = interval(value, drawn)
    return Estimate(value, value - wider * (value - plain.low), value + wider * (plain.high - value))


def _share(found: Estimate, records: int) -> Estimate:
    """At least as wide as Wilson's interval: the bootstrap of "all of them" has no width."""
    plain = wilson(min(max(found.value, 0.0), 1.0), records)
    low, high = min(found.low, plain.low), max(found.high, plain.high)
    return Estimate(found.value, max(0.0, low), min(1.0, high))


def _json(estimate: Estimate) -> dict[str, float]:
    return {name: float(f"{number:.6g}") for name, number in estimate._asdict().items()}
