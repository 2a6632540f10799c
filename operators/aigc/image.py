"""Every column of `aigc` for one image."""

from typing import Any

import numpy as np

from thresher.operators.aigc.declared import declared
from thresher.operators.aigc.dwtdct import read_mark
from thresher.operators.aigc.spectral import spectral
from thresher.operators.views.header import Header


def measure_image(header: Header, data: bytes, decoded: np.ndarray, native: np.ndarray) -> dict[str, Any]:
    """Every column's value. Marks in pixels are sought in lossless files only: JPEG destroys them."""
    pixels = decoded if header.lossless else None
    alpha = pixels[:, :, 3] if pixels is not None and pixels.shape[2] == 4 else None
    said = declared(data, header.format, alpha)
    mark = None if pixels is None else read_mark(pixels[:, :, :3])
    marked = mark.generator if mark else None
    return {
        "aigc_tier": "A" if said.ai else "B" if marked else None,
        "generator": said.generator or marked,
        "digital_source_type": said.source_type,
        "c2pa": "present" if said.c2pa else "none",
        "camera_exif": said.camera,
        "dwtdct_bits": mark.bits if mark else None,
        "aigc_spectral": spectral(native),
    }
