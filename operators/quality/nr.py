"""`quality.nr`: one number for technical quality, from the columns of `quality` alone."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.base import Batch, Measure, Values
from thresher.operators.registry import operator
from thresher.schemas import Column

_FLOOR = 0.02
"""A single bad trait makes a score low, not nothing."""


class Trait(NamedTuple):
    """1 at `good` or beyond, falling evenly to 0 at `bad`."""

    good: float
    bad: float

    def score(self, values: np.ndarray) -> np.ndarray:
        """float64 in [0.02, 1]."""
        return np.asarray(np.clip((values - self.bad) / (self.good - self.bad), _FLOOR, 1))


DETAIL, NOISE, BLOCKS = Trait(-0.7, -3), Trait(3, 20), Trait(1.1, 3)
CONTRAST, EXPOSURE = Trait(140, 20), Trait(0.2, 0.9)
"""Between a photograph as it is and one spoilt until it hurts: blur sigma 4 (log10 of `focus`), noise of
sigma 25, JPEG quality 8, a fifth of the contrast, most pixels clipped (measured on four photographs)."""


@operator("quality.nr")
class NoReference(Measure):
    """Classical no-reference quality from 0 to 1: the geometric mean of detail, noise, JPEG blocks, contrast
    and exposure, each on a scale from spoilt to good.

    It sees how a picture was taken and stored, not whether it is beautiful; nothing is learned. One property
    that is spoilt alone gives about 0.4 to 0.7: let `thresher calibrate` find the bound.
    """

    reads = ("focus", "noise", "blockiness", "dynamic_range", "clip_low", "clip_high")
    source = "ours"
    cost = "arithmetic on six columns"

    def writes(self) -> list[Column]:
        meaning = "technical quality: detail, noise, blocks, contrast, exposure; higher is better"
        return [Column("nr_quality", pa.float32(), "score", meaning, 0, 1)]

    def measure(self, batch: Batch) -> Values:
        assert batch.columns is not None
        names = {name: pc.cast(batch.columns[name], pa.float64()).to_numpy() for name in self.reads}
        traits = (
            DETAIL.score(np.log10(np.maximum(names["focus"], 1e-6))),
            NOISE.score(names["noise"]),
            BLOCKS.score(names["blockiness"]),
            CONTRAST.score(names["dynamic_range"]),
            EXPOSURE.score(names["clip_low"] + names["clip_high"]),
        )
        score = np.exp(np.mean([np.log(trait) for trait in traits], axis=0))
        return Values({"nr_quality": [None if np.isnan(s) else float(s) for s in score]})
