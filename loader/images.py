"""An image file as the pixels of a grid of tokens."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pixels(data: Any, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): the file's first image upright, resized to cover that size, its centre.

    A JPEG is decoded at the least eighth of its size that is large enough; transparency is laid over white.
    Raises an exception of Pillow's for what is no image.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as image:
        turn = image.getexif().get(0x0112, 1)
        sides = (height, width) if turn >= 5 else (width, height)
        scale = max(side / own for side, own in zip(sides, image.size, strict=True))
        image.draft("RGB", (round(image.width * scale), round(image.height * scale)))
        plain = _rgb(image)
    upright = plain if turn == 1 else ImageOps.exif_transpose(plain)
    return np.asarray(ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC))


def _rgb(image: Any) -> Any:
    from PIL import Image

    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")
