"""The resolution that a stage trains an image at: the nearest of a few shapes, in whole tokens.

The 33 shapes of HunyuanImage 3.0 (repository Tencent-Hunyuan/HunyuanImage-3.0,
hunyuan_image_3/tokenizer_wrapper.py), nearest by the plain difference of h / w, as its model was trained.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thresher.loader.plan.keys import Ints


@dataclass(frozen=True)
class Buckets:
    """`base`: side of the square, px; `stride`: side of a token, px. From the square, the height grows and
    the width shrinks by base / 16, or the least multiple of it that is whole tokens, to 2 and 1/2 base."""

    base: int
    stride: int

    def __post_init__(self) -> None:
        if self.base <= 0 or self.base % 16 or self.base % (2 * self.stride):
            least = math.lcm(16, 2 * self.stride)
            raise ValueError(
                f"a side of {self.base} px is no multiple of {least}, as tokens of {self.stride} px need"
            )

    def grids(self, widths: Ints, heights: Ints) -> Ints:
        """Tokens down and across for images of that size in px: int64 of shape (n, 2)."""
        ratios = self._shapes[:, 0] / self._shapes[:, 1]
        nearest = np.abs((heights / widths)[:, None] - ratios).argmin(axis=1)
        return self._shapes[nearest] // self.stride

    @cached_property
    def _shapes(self) -> Ints:
        step, base = math.lcm(self.base // 16, self.stride), self.base
        portrait = [(base + i, max(base - i, base // 2)) for i in range(0, base + 1, step)]
        return np.array([(w, h) for h, w in portrait[:0:-1]] + portrait)
