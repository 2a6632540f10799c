"""Columns that the file's header already tells."""

from typing import Any

from thresher.operators.views.header import Header


def header_values(header: Header) -> dict[str, Any]:
    """Size, format and compression; see `columns.py` for units."""
    return {
        "width": header.width,
        "height": header.height,
        "short_side": min(header.width, header.height),
        "megapixels": header.pixels / 1e6,
        "aspect": header.width / header.height,
        "format": header.format,
        "mode": header.mode,
        "icc": header.icc or "",
        "bit_depth": header.bit_depth,
        "exif_orientation": header.exif_orientation,
        "jpeg_quality": header.jpeg_quality,
        "bytes": header.n_bytes,
        "bpp": 8 * header.n_bytes / header.pixels,
        "animated": header.animated,
        "has_alpha": header.has_alpha,
        "lossless": header.lossless,
    }
