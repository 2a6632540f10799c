"""One open file and the views that are asked of it."""

from functools import cached_property
from typing import Any

import cv2
import numpy as np

from thresher.operators.base import View
from thresher.operators.views.decode import (
    RGB_BASE,
    Pixels,
    dct_scale,
    decode,
    native,
    rgb_base,
    rgb_smaller,
)
from thresher.operators.views.header import Header, read_header

# Workers are processes; threads inside them would only fight for the same cores.
cv2.setNumThreads(1)


class Decoder:
    """One file's views, each made when first asked for. Arrays are read-only, for views share them."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def view(self, view: View) -> Any:
        """The form `view` of the file. Raises MediaError."""
        match view.kind:
            case "bytes":
                return self._data
            case "header":
                return self.header
            case "decoded":
                return self._pixels.rgb
            case "native":
                return self._native
            case "rgb" if view.size == RGB_BASE:
                return self._rgb
            case "rgb":
                return _frozen(rgb_smaller(self._rgb, view.size))
        raise ValueError(f"there is no view {view!r}")

    @cached_property
    def header(self) -> Header:
        """What the file says of itself."""
        return read_header(self._data)

    @cached_property
    def _pixels(self) -> Pixels:
        pixels = decode(self._data, self.header)
        return Pixels(_frozen(pixels.rgb), pixels.cmyk)

    @cached_property
    def _native(self) -> np.ndarray:
        return _frozen(native(self._pixels, self.header))

    @cached_property
    def _rgb(self) -> np.ndarray:
        scale = dct_scale(self.header)
        if scale == 1:
            return _frozen(rgb_base(self._native, self.header))
        scaled = decode(self._data, self.header, scale)
        return _frozen(rgb_base(native(scaled, self.header), self.header))


def _frozen(pixels: np.ndarray) -> np.ndarray:
    pixels.flags.writeable = False
    return pixels
