"""An image file as the pixels of a grid of tokens."""

import io
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
"""By EXIF orientation, after the transposition of 5 to 8: OpenCV's codes."""


def pixels(data: Any, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): the file's first image upright, resized to cover that size, its centre.

    A JPEG is decoded at the least half, quarter or eighth of its size that is large enough; transparency is
    laid over white. Raises an exception of Pillow's for what is no image.
    """
    import cv2
    from PIL import Image

    cv2.setNumThreads(1)
    with Image.open(io.BytesIO(data)) as image:
        turn = image.getexif().get(0x0112, 1)
        sides = (height, width) if turn >= 5 else (width, height)
        rgb = _decoded(data, image, max(side / own for side, own in zip(sides, image.size, strict=True)))
    rgb = cv2.transpose(rgb) if turn >= 5 else rgb
    rgb = cv2.flip(rgb, _FLIPS[turn]) if turn in _FLIPS else rgb
    scale = max(height / rgb.shape[0], width / rgb.shape[1])
    down, across = round(height / scale), round(width / scale)
    top, left = (rgb.shape[0] - down) // 2, (rgb.shape[1] - across) // 2
    cut = rgb[top : top + down, left : left + across]
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)


def _decoded(data: Any, image: Any, scale: float) -> NDArray[np.uint8]:
    """Red, green and blue of an open image, of which no more than `scale` times its size is needed."""
    import simplejpeg
    from PIL import Image

    if image.format == "JPEG" and image.mode in ("L", "RGB"):
        part = next(n for n in (8, 4, 2, 1) if n * scale <= 1 or n == 1)
        width, height = (-(-side // part) for side in image.size)
        with suppress(ValueError):  # it has no name for unusual sampling factors
            return simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width)
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def sheet(pictures: NDArray[np.uint8], across: int) -> NDArray[np.uint8]:
    """Pictures (n, height, width, 3) as one, so many in a row, with white between them."""
    padding = (0, -len(pictures) % across), (1, 1), (1, 1), (0, 0)
    tiles = np.pad(pictures, padding, constant_values=255)
    lines = [np.concatenate(tiles[i : i + across], axis=1) for i in range(0, len(tiles), across)]
    return np.concatenate(lines)
