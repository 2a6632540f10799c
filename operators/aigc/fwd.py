"""Frechet Wavelet Distance (Veeramacheneni et al., ICLR 2025) between two sets of pictures. No network.

A statistic of sets. It says how far one set lies from another and in which band, and nothing of one picture.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from thresher.schemas.errors import ThresherError

SIDE = 64
"""px of a tile."""
LEVELS = 4
BLOCK = 1 << LEVELS
"""px. Haar's filters do not overlap: a packet transform of L levels is Walsh's, of blocks of 2^L px."""
PACKETS = BLOCK * BLOCK
DIMENSION = 3 * (SIDE // BLOCK) ** 2
"""Numbers of a tile in one packet."""
LEAST = 4 * DIMENSION
"""Pictures on each side; with fewer, the estimate is mostly its own bias."""
REACH = 256
"""px: tiles come from the centre of this size."""

BANDS = ("over 32 px", "16 to 32 px", "8 to 16 px", "4 to 8 px", "2 to 4 px", "2 px")
"""Periods of the details that packets hold, by octaves; the shorter of both directions counts. The last are
the three packets whose signs alternate from pixel to pixel along rows, columns or both, and else do not
change: what repeats every other pixel, as after upsampling."""

Floats = NDArray[np.float64]


def tiles(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The tiles (1 to 16, SIDE, SIDE, 3) of the centre of a picture, uint8 (h, w, 3), both sides >= SIDE.

    Native pixels: a resize would destroy what is sought. They start at a multiple of 16 px, so that the
    blocks of JPEG (and what repeats every 2, 4 or 8 px) lie alike in all pictures.
    """
    rows, columns = (_starts(length) for length in pixels.shape[:2])
    return np.stack([pixels[y : y + SIDE, x : x + SIDE] for y in rows for x in columns])


def tile_count(height: int, width: int) -> int:
    """How many tiles a picture of this size gives: the bias depends on it, too."""
    return len(_starts(height)) * len(_starts(width))


def _starts(length: int) -> range:
    count = min(length, REACH) // SIDE
    first = (length - count * SIDE) // 2 // BLOCK * BLOCK
    return range(first, first + count * SIDE, SIDE)


def packets(found: NDArray[np.uint8]) -> Floats:
    """Haar wavelet packets of tiles, (PACKETS, n, DIMENSION) of pixels in 0 to 1; by frequency, y first."""
    count = len(found)
    blocks = found.reshape(count, -1, BLOCK, SIDE // BLOCK, BLOCK, 3).transpose(2, 4, 0, 1, 3, 5)
    return (_walsh() @ (blocks.reshape(PACKETS, -1) / 255.0)).reshape(PACKETS, count, DIMENSION)


ROUNDING = DIMENSION / 255**2 / 12
"""Energy that rounding to 8 bits gives a packet: what lies below it was never seen."""


@cache
def _walsh() -> Floats:
    """Orthonormal (PACKETS, PACKETS): from the pixels of a block to its packets. In each direction they are
    ordered by their changes of sign: number i is about i/32 cycles/px."""
    rows: Floats = np.ones((1, 1))
    for _ in range(LEVELS):
        rows = np.kron(np.array([[1, 1], [1, -1]]), rows) / np.sqrt(2)
    changes = (np.diff(np.sign(rows), axis=1) != 0).sum(axis=1)
    rows = rows[np.argsort(changes)]
    return np.asarray(np.kron(rows, rows), np.float64)


@cache
def bands() -> NDArray[np.int64]:
    """The place in BANDS of each packet, (PACKETS,)."""
    finer = np.maximum.outer(np.arange(BLOCK), np.arange(BLOCK))
    found = np.ceil(np.log2(finer + 1)).astype(np.int64)
    found[[0, -1, -1], [-1, 0, -1]] = len(BANDS) - 1
    return found.ravel()


def by_band(values: Floats) -> dict[str, float]:
    """The mean of values of packets, (PACKETS,), in each band."""
    return {name: float(values[bands() == place].mean()) for place, name in enumerate(BANDS)}


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of each packet over pictures: sums, so that memory does not grow with them."""

    count: int
    mean: Floats
    """(PACKETS, DIMENSION)."""
    scatter: Floats
    """(PACKETS, DIMENSION, DIMENSION): the sum of (x - mean)(x - mean)'."""

    @classmethod
    def none(cls) -> Self:
        """Of no picture."""
        return cls(0, np.zeros((PACKETS, DIMENSION)), np.zeros((PACKETS, DIMENSION, DIMENSION)))

    @classmethod
    def of(cls, pictures: list[NDArray[np.uint8]]) -> Self:
        """Of pictures given as `tiles`. The tiles of one are not independent: together they weigh 1."""
        weights = np.concatenate([np.full(len(p), 1 / len(p)) for p in pictures])
        values = packets(np.concatenate(pictures))
        mean = np.einsum("n,pnd->pd", weights, values) / len(pictures)
        values = (values - mean[:, None]) * np.sqrt(weights)[:, None]
        scatter = values.transpose(0, 2, 1) @ values
        return cls(len(pictures), mean, scatter)

    def __add__(self, other: "Moments") -> "Moments":
        """Of both together (Chan et al. 1979)."""
        count = self.count + other.count
        if count == 0:
            return self
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        between = step[:, :, None] * step[:, None, :] * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @cached_property
    def factor(self) -> Floats:
        """F (PACKETS, DIMENSION, DIMENSION) with F F' the covariance: tr (S1 S2)^(1/2) is the sum of the
        singular values of F1' F2, which keeps the digits that a root of S1 S2 would lose."""
        values, vectors = np.linalg.eigh(self.scatter / (self.count - 1))
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0))[:, None, :])

    def energy(self) -> Floats:
        """Mean of |x|^2 of each packet, (PACKETS,)."""
        spread = np.trace(self.scatter, axis1=1, axis2=2) / max(1, self.count)
        return np.asarray((self.mean**2).sum(axis=1) + spread)


def fwd(reference: Moments, other: Moments) -> Floats:
    """Of each packet (PACKETS,): the squared Frechet distance over the reference's energy.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)); the energy counts as no less than that of rounding to 8 bits.
    The estimate is biased by about 1/N: compare it with that of two sets of one law and the same N.
    Raises ThresherError unless both hold equally many pictures, and at least LEAST.
    """
    if reference.count != other.count or reference.count < LEAST:
        what = f"sets of {reference.count} and {other.count} pictures cannot be compared"
        raise ThresherError(what, "FWD", f"Give both equally many, and at least {LEAST}")
    first, second = reference.factor, other.factor
    shared = np.linalg.svd(first.transpose(0, 2, 1) @ second, compute_uv=False).sum(axis=1)
    spread = (first**2).sum(axis=(1, 2)) + (second**2).sum(axis=(1, 2)) - 2 * shared
    distance = ((reference.mean - other.mean) ** 2).sum(axis=1) + np.maximum(spread, 0)
    return np.asarray(distance / np.maximum(reference.energy(), ROUNDING))
