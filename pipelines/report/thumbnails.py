"""Small pictures as data URLs, within one budget for the page.

Only records whose pixels a finished pass decoded are opened here: what could crash a decoder has
done so before, in a guarded worker, and has no such column.
"""

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

from thresher.operators.base import View
from thresher.operators.views import open_views
from thresher.operators.views.opener import MediaError, Opener
from thresher.pipelines.report.page import Picture
from thresher.schemas import Media

PROOF = ("width", "px_sha", "phash256")
"""Columns that only a whole decode fills."""

LONG_SIDE = 224
"""Pixels; shown at about 160 CSS pixels, so that it stays sharp on dense screens."""

MAX_ASPECT = 4
"""Longer strips are cut to their centre, else their short side would be a few pixels."""

QUALITY = 70
BUDGET = 12_000_000
"""Characters of all data URLs in one page."""

RGB = View("rgb", 512)
LEFT_OUT = Picture(why_not="left out to keep the page small")


class Budget:
    """What the pictures of a page may still cost, in characters."""

    def __init__(self, left: int = BUDGET) -> None:
        self.left = left

    @property
    def spent(self) -> bool:
        """True when a picture has not fitted."""
        return self.left < 0

    def take(self, picture: Picture | None) -> Picture:
        """`picture`, if it still fits; None stands for one that was not made any more."""
        if picture is None or self.spent:
            return LEFT_OUT
        self.left -= len(picture.url)
        return LEFT_OUT if self.spent else picture


def thumbnail(opener: Opener, source: str, medium: Media) -> Picture:
    """The picture of one medium; never raises for it."""
    try:
        return Picture(data_url(open_views(opener.read(source, medium), [RGB])[RGB]))
    except MediaError as error:
        return Picture(why_not=f"{error.reason}: {error.message}")


def data_url(pixels: NDArray[np.uint8]) -> str:
    """uint8 (h, w, 3) sRGB as a WebP data URL with a long side of at most LONG_SIDE."""
    h, w = pixels.shape[:2]
    if max(h, w) > MAX_ASPECT * min(h, w):
        top, left = max(0, h - MAX_ASPECT * w) // 2, max(0, w - MAX_ASPECT * h) // 2
        pixels = pixels[top : h - top, left : w - left]
        h, w = pixels.shape[:2]
    scale = min(1.0, LONG_SIDE / max(h, w))
    size = max(1, round(w * scale)), max(1, round(h * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
