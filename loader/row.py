"""A packed row as flat arrays: what a loader gives, and what any trainer can take."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thresher.loader.plan.pattern import Kind
from thresher.loader.plan.plan import Slot

PAD = -1
"""Kind, document and segment of padding; target of a token that predicts nothing."""


@dataclass
class Picture:
    """The neighbouring tokens that one copy of an image gives."""

    at: int
    """Place of its first token in the row."""
    kind: Kind
    grid: tuple[int, int]
    """Tokens down and across."""
    data: NDArray
    """uint8 pixels (height, width, 3) of that grid, or what is stored of it: float16 latents
    (down, across, channels), int32 codes (down, across)."""
    time: float = 0.0
    """Noise level in [0, 1]; 0 for all but noisy copies."""
    noise: int = 0
    """Key of its noise."""
    features: NDArray | None = None
    """float16 (down, across, width): stored features that a noisy copy's hidden states are drawn to."""


@dataclass
class Row:
    """One packed row of L tokens: arrays (L,), `position` (L, 3)."""

    token: NDArray[np.int64]
    """A text's tokens; 0 for images."""
    kind: NDArray[np.int64]
    doc: NDArray[np.int64]
    """Which sample of the row."""
    seg: NDArray[np.int64]
    """Which part of the row, rising; noisy images of one group share theirs."""
    position: NDArray[np.int64]
    """(order, y, x), see `trainer.md` 2.2: text n at (n, n, n), an image at n from (n, n, n) on."""
    target: NDArray[np.int64]
    """The token to predict; PAD for none."""
    weight: NDArray[np.float32]
    """Of a target in the cross-entropy; of each token of a noisy image 1 if it is learnt. 0 for a hole."""
    pictures: list[Picture] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    """Document d of the row is `slots[d]`."""
    holes: list[int] = field(default_factory=list)
    """Documents that could not be read: they keep their place, and count as nothing."""


def noise(key: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal numbers that follow from a key alone (Philox, counter-based)."""
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(shape, np.float32)


def blank(long: int) -> Row:
    """A row of padding."""
    token, kind, doc, seg, target = (np.full(long, fill) for fill in (0, PAD, PAD, PAD, PAD))
    position, weight = np.zeros((long, 3), np.int64), np.zeros(long, np.float32)
    return Row(token, kind, doc, seg, position, target, weight)


class Written:
    """A row that is written part by part, each at its position (`trainer.md` 2.2)."""

    def __init__(self, long: int) -> None:
        self.row, self.end = blank(long), 0
        self._position = self._next = 0

    def put(self, kind: Kind, seg: int, shape: tuple[int, ...], copy: bool = False) -> slice:
        """Places of a text of (n,) tokens, or of an image of (down, across), behind all before.

        A `copy` of the image before it stands at the same position.
        """
        self._position = self._position if copy else self._next
        self._next = max(self._next, self._position + max(shape))
        if len(shape) == 1:
            offsets = np.arange(*shape)[:, None].repeat(3, axis=1)
        else:
            offsets = np.indices((1, *shape)).reshape(3, -1).T
        span = slice(self.end, self.end + len(offsets))
        self.end = span.stop
        self.row.kind[span], self.row.seg[span] = kind, seg
        self.row.position[span] = self._position + offsets
        return span
