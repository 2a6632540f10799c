"""Which source fills a slot: exact quotas in every block of slots, in an order drawn anew for each block."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thresher.loader.plan.keys import Ints, key, permute, unpermute

_WHOLE = 1 << 32


@dataclass(frozen=True)
class Mixture:
    """Slots 0, 1, 2, ... to (source, ordinal in the source), and back.

    `weights`: the share of slots of each source, any positive numbers. After any number of blocks each
    source's count is within 1 of its exact share: running sums of the shares are rounded, not the shares.
    """

    weights: Sequence[float]
    seed: int
    stage: str
    block: int = 1024

    def slots(self, first: int, count: int) -> tuple[Ints, Ints]:
        """Source and ordinal of slots [first, first + count), as int64 arrays."""
        blocks = range(first // self.block, -(-(first + count) // self.block))
        parts = [self._block(b) for b in blocks]
        cut = slice(first - blocks.start * self.block, first - blocks.start * self.block + count)
        return (
            np.concatenate([source for source, _ in parts])[cut],
            np.concatenate([ordinal for _, ordinal in parts])[cut],
        )

    def slot(self, source: int, ordinal: int) -> int:
        """The slot that takes a source's sample of that ordinal: the inverse of `slots`."""
        low, high = 0, 1
        while self.taken(high)[source] <= ordinal:
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.taken(middle)[source] <= ordinal else (low, middle)
        before, counts = self.taken(low), self._counts(low)
        place = sum(counts[:source]) + ordinal - before[source]
        at = unpermute(np.array([place]), self.block, self._key(low))
        return low * self.block + int(at[0])

    def _block(self, b: int) -> tuple[Ints, Ints]:
        counts, before = np.array(self._counts(b)), np.array(self.taken(b))
        place = permute(np.arange(self.block), self.block, self._key(b))
        starts = np.cumsum(counts) - counts
        source = np.searchsorted(starts + counts, place, side="right")
        return source, before[source] + place - starts[source]

    def _counts(self, b: int) -> list[int]:
        """Slots of each source in block b."""
        return [end - start for start, end in zip(self.taken(b), self.taken(b + 1), strict=True)]

    def taken(self, b: int) -> list[int]:
        """Slots of each source in all blocks before b. Python's integers: the product passes 64 bits."""
        edges = [(b * self.block * w + _WHOLE // 2) // _WHOLE for w in self._edges]
        return [high - low for low, high in zip([0, *edges], edges, strict=False)]

    @cached_property
    def _edges(self) -> list[int]:
        """Running sums of the shares, as integers over 2^32; the last is 2^32."""
        total = sum(self.weights)
        sums = np.cumsum(np.array(self.weights, np.float64) / total)
        return [*(round(float(s) * _WHOLE) for s in sums[:-1]), _WHOLE]

    def _key(self, b: int) -> int:
        return key("mix", self.seed, self.stage, b)
