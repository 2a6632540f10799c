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
