"""The Measure `quality`: size, exposure, colour, sharpness, compression and layout of an image."""

from typing import Any

import cv2
import numpy as np

from thresher.operators.base import Batch, Failure, Measure, Values, View
from thresher.operators.quality import compression, sharpness, structure, tone
from thresher.operators.quality.columns import HEADER, PIXELS
from thresher.operators.quality.header import header_values
from thresher.operators.registry import operator
from thresher.operators.views.header import Header
from thresher.operators.views.margins import trim_box
from thresher.schemas import Column, Reason

_HEADER, _RGB = View("header"), View("rgb", 512)
_NATIVE, _DECODED = View("native"), View("decoded")


@operator("quality")
class Quality(Measure):
    """Classical measures of one image; nothing learned."""

    views = (_HEADER, _RGB, _NATIVE, _DECODED)
    source = "classical; colorfulness: Hasler and Suesstrunk 2003, noise: Donoho and Johnstone 1994"
    cost = "12 ms for each image of a megapixel, beside its decode"

    def writes(self) -> list[Column]:
        return [*HEADER, *PIXELS]

    def measure(self, batch: Batch) -> Values:
        rows: list[dict[str, Any]] = []
        failures: dict[int, Failure] = {}
        for i, views in enumerate(zip(*(batch.view(v) for v in self.views), strict=True)):
            try:
                rows.append(measure_image(*views))
            except (cv2.error, ValueError, ArithmeticError, IndexError) as error:
                failures[i] = Failure(Reason.BAD_VALUE, f"quality cannot measure this image: {error}")
                rows.append({})
        names = [column.name for column in self.writes()]
        return Values({name: [row.get(name) for row in rows] for name in names}, failures)


def measure_image(header: Header, rgb: np.ndarray, native: np.ndarray, decoded: np.ndarray) -> dict[str, Any]:
    """Every column's value for one image, from its views."""
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    native_luma = luma if native.shape == rgb.shape else cv2.cvtColor(native, cv2.COLOR_RGB2GRAY)
    crop, x, y = compression.centre_crop(native_luma)
    box = trim_box(rgb)
    height, width = rgb.shape[:2]
    transparent = 1 - float(decoded[:, :, 3].mean()) / 255 if decoded.shape[2] == 4 else 0.0
    return {
        **header_values(header),
        **tone.luma_values(luma),
        **tone.colour_values(rgb),
        "alpha_share": transparent,
        "sharpness": sharpness.sharpness(native_luma),
        "focus": sharpness.focus(crop),
        "texture": sharpness.texture(luma),
        "noise": compression.noise(crop),
        "blockiness": compression.blockiness(
            crop, x, y, header.width, header.height, header.exif_orientation
        ),
        "upscaled": compression.upscaled(crop),
        "jpeg_bpp": compression.jpeg_bpp(rgb),
        "border": structure.border(box, width, height),
        "letterbox": structure.letterbox(box, rgb.shape, header.width, header.height),
        "uniform_tiles": structure.uniform_tiles(luma),
        "collage": structure.collage(rgb, box),
        "text_like": structure.text_like(luma),
    }
