"""`palette`: the main colours of a picture by name, and where they lie."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from thresher.operators.base import Batch, Measure, Values, View
from thresher.operators.captions.facts.colours import named
from thresher.operators.captions.language.colours import NAMES
from thresher.operators.registry import operator
from thresher.schemas import Column

RGB = View("rgb", 512)
SIDE = 128
"""px of the short side on which colours are named: seen from afar, where grain has no colour of its own."""
LEAST = 0.05
"""Share below which a colour is left out."""
MIXED = "mixed"
"""Of a cell in which no colour has half of the pixels."""
COLOUR = pa.struct(
    [("name", pa.string()), ("share", pa.float32()), ("rgb", pa.list_(pa.uint8()))],
)


@operator("palette")
class Palette(Measure):
    """The main colours of a picture by name, with their shares, and the colour that fills most of each ninth.

    Names: black, grey, white, red, orange, yellow, green, blue, purple, pink, brown, olive, yellow-green.
    They name pixels, not things: a white wall in the shade is grey, and skin is pink, orange or brown.
    """

    version = 2
    views = (RGB,)
    source = "ISCC-NBS level 1 (Kelly and Judd 1976), nearest centroid in OKLab"
    cost = "2 ms for each image, beside its decode"

    def writes(self) -> list[Column]:
        names = "black to yellow-green, largest share first, from 0.05; `rgb` is their mean"
        grid = "colour of at least half of each ninth, row by row from the upper left, else `mixed`"
        return [
            Column("palette", pa.list_(COLOUR), "", f"colours of {names}"),
            Column("palette_grid", pa.list_(pa.string()), "name", grid, values=(*NAMES, MIXED)),
        ]

    def measure(self, batch: Batch) -> Values:
        rows = [_colours(rgb) for rgb in batch.view(RGB)]
        return Values({name: [row[name] for row in rows] for name in ("palette", "palette_grid")})


def _colours(rgb: NDArray[np.uint8]) -> dict[str, Any]:
    small = _shrunk(rgb)
    places = named(small)
    counts = np.bincount(places.ravel(), minlength=len(NAMES))
    order = sorted(np.flatnonzero(counts >= LEAST * places.size), key=lambda i: (-counts[i], i))
    found = [
        {
            "name": NAMES[i],
            "share": round(float(counts[i]) / places.size, 4),
            "rgb": [round(float(mean)) for mean in small[places == i].mean(axis=0)],
        }
        for i in order
    ]
    cells = [cell for row in np.array_split(places, 3, 0) for cell in np.array_split(row, 3, 1)]
    return {"palette": found, "palette_grid": [_most(cell) for cell in cells]}


def _most(cell: NDArray[np.uint8]) -> str:
    """The name of at least half of the pixels; `MIXED` if there is none."""
    counts = np.bincount(cell.ravel(), minlength=len(NAMES))
    return NAMES[int(counts.argmax())] if cell.size and 2 * counts.max() >= cell.size else MIXED


def _shrunk(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    scale = min(rgb.shape[:2]) / SIDE
    if scale <= 1:
        return rgb
    height, width = (max(1, round(side / scale)) for side in rgb.shape[:2])
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
