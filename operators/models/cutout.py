"""The one thing in a picture without any model: its opaque part, else what GrabCut finds in the middle."""

from typing import NamedTuple

import numpy as np

from thresher.operators.models.masks import Mask
from thresher.operators.models.pictures import Pixels

OPAQUE = 128
"""Alpha from which a pixel belongs to the thing."""
MARGIN = 0.1
"""GrabCut starts with this share of each side outside."""
LONGEST = 256
"""px; for GrabCut a longer side is shrunk to this."""
SPECK = 0.005
"""Share of the picture below which GrabCut's foreground is no thing."""
_ROUNDS = 5


class Cutout(NamedTuple):
    """What was found, and by what."""

    label: str
    """`opaque` or `centre`."""
    mask: Mask


def cutout(decoded: Pixels) -> Cutout | None:
    """Of uint8 (h, w, 3 or 4); None where nothing is opaque, or GrabCut finds no more than a speck."""
    if decoded.shape[2] == 4:
        opaque = decoded[..., 3] >= OPAQUE
        if not opaque.all():
            return Cutout("opaque", opaque) if opaque.any() else None
    mask = grabcut(np.ascontiguousarray(decoded[..., :3]))
    return Cutout("centre", mask) if mask.mean() >= SPECK else None


def box_of(mask: Mask) -> list[float]:
    """x0 y0 x1 y1 of the pixels of a mask, as shares of its width and height."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    ends = (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
    return [round(float(end), 4) for end in ends]


def grabcut(rgb: Pixels) -> Mask:
    """The foreground of a shrunk picture (Rother and others 2004), from a box in the middle."""
    import cv2

    scale = max(*rgb.shape[:2], LONGEST) / LONGEST
    size = (max(1, round(rgb.shape[1] / scale)), max(1, round(rgb.shape[0] / scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    left, top = round(size[0] * MARGIN), round(size[1] * MARGIN)
    box = (left, top, size[0] - 2 * left, size[1] - 2 * top)
    nothing = np.zeros(small.shape[:2], np.bool_)
    if left == 0 or top == 0:
        return nothing
    labels, models = np.zeros(small.shape[:2], np.uint8), np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)  # its clusters start at random places
    try:
        cv2.grabCut(
            small[..., ::-1].copy(), labels, box, models[0], models[1], _ROUNDS, cv2.GC_INIT_WITH_RECT
        )
    except cv2.error:  # fewer colours than clusters
        return nothing
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
