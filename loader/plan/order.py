"""The order of one source's samples in one epoch: every sample once, in runs that read well."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thresher.loader.plan.keys import Ints, key, permute, unpermute


@dataclass(frozen=True)
class Order:
    """A permutation of `n` samples for each epoch, computed at any place in constant memory.

    Chunks of `chunk` neighbouring samples are permuted, then places inside windows of `window`: a step
    reads few stretches of few shards, and neighbours of a shard still part. `chunk=1` is a full shuffle.
    """

    name: str
    n: int
    seed: int
    stage: str
    chunk: int = 64
    window: int = 65_536

    def sample(self, ordinal: Ints) -> Ints:
        """The sample at each ordinal; ordinals [e * n, (e + 1) * n) are epoch e."""
        out = np.empty_like(ordinal)
        for epoch in np.unique(ordinal // self.n).tolist():
            mine = ordinal // self.n == epoch
            out[mine] = self._unchunk(self._windowed(ordinal[mine] - epoch * self.n, epoch, permute), epoch)
        return out

    def ordinal(self, sample: Ints, epoch: int) -> Ints:
        """The ordinal of each sample in an epoch: the inverse of `sample`."""
        return epoch * self.n + self._windowed(self._chunked(sample, epoch), epoch, unpermute)

    def _windowed(self, at: Ints, epoch: int, move: Callable[[Ints, int, int], Ints]) -> Ints:
        """Places moved inside their windows; the last window may be short."""
        out = np.empty_like(at)
        for w in np.unique(at // self.window).tolist():
            mine, start = at // self.window == w, w * self.window
            size = min(self.window, self.n - start)
            out[mine] = start + move(at[mine] - start, size, self._key(epoch, "window", w))
        return out

    def _unchunk(self, at: Ints, epoch: int) -> Ints:
        """The sample at each place of the permuted chunks. The one short chunk shifts what lies behind it."""
        at = at + np.where(at >= self._short_end(epoch), self._missing, 0)
        chunk = permute(at // self.chunk, self._chunks, self._key(epoch, "chunk"))
        return chunk * self.chunk + at % self.chunk

    def _chunked(self, sample: Ints, epoch: int) -> Ints:
        slot = unpermute(sample // self.chunk, self._chunks, self._key(epoch, "chunk"))
        at = slot * self.chunk + sample % self.chunk
        return at - np.where(at >= self._short_end(epoch) + self._missing, self._missing, 0)

    def _short_end(self, epoch: int) -> int:
        """The place behind the last sample of the short chunk."""
        slot = unpermute(np.array([self._chunks - 1]), self._chunks, self._key(epoch, "chunk"))
        return int(slot[0] + 1) * self.chunk - self._missing

    @property
    def _chunks(self) -> int:
        return -(-self.n // self.chunk)

    @property
    def _missing(self) -> int:
        """How many samples the last chunk lacks."""
        return self._chunks * self.chunk - self.n

    def _key(self, epoch: int, *what: int | str) -> int:
        return key("order", self.seed, self.stage, self.name, epoch, *what)
