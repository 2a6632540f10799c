"""The Measure `quality`: size, exposure, colour, sharpness, compression and layout of an image."""

from typing import Any

from thresher.operators.base import Batch, Failure, Measure, Values, View
from thresher.operators.quality.columns import HEADER, PIXELS
from thresher.operators.registry import operator
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
        import cv2  # with the first image: planning needs the declaration alone

        from thresher.operators.quality.image import measure_image

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
