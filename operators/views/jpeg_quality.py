"""The quality that a JPEG was saved with, estimated from its quantisation tables."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

_LUMA = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61),
        *(12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77),
        *(24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101),
        *(72, 92, 95, 98, 112, 100, 103, 99),
    ]
)
"""ITU-T T.81, table K.1."""


@cache
def _tables() -> np.ndarray:
    """The luma tables that the IJG library writes for the qualities 1 to 100; int (100, 64)."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((scale[:, None] * _LUMA + 50) // 100, 1, 255)


def estimate_quality(tables: Mapping[int, Sequence[int]]) -> int | None:
    """The IJG quality (1-100) whose luma table lies nearest to the file's first table.

    Exact for files of the IJG library and its descendants, an equivalent for other encoders; None
    without a table of 64 entries.
    """
    table = np.array(tables.get(min(tables), ())) if tables else np.array(())
    if table.shape != (64,):
        return None
    return int(np.abs(_tables() - table).sum(axis=1).argmin()) + 1
