"""All decoding: a medium's bytes to the views that Measures ask for.

A view's pixels are a function of the file and the view alone, never of which views are asked for
together. Cost: one header, at most one full and one scaled decode of a file. The decoders load
with the first file, so that a run that opens none starts without them.
"""

from collections.abc import Collection
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from thresher.operators.base import View
from thresher.operators.views.opener import MediaError

__all__ = ["VIEW_VERSION", "MediaError", "decoder_versions", "open_views"]

VIEW_VERSION = 1
"""Raised whenever a view's pixels change."""


def open_views(data: bytes, views: Collection[View]) -> dict[View, Any]:
    """Every view asked for, from one open of the file `data`.

    Raises MediaError: empty_file, not_media, corrupt, truncated, no_decoder, too_many_pixels.
    """
    from thresher.operators.views.decoder import Decoder

    decoder = Decoder(data)
    return {view: decoder.view(view) for view in views}


@cache
def decoder_versions() -> str:
    """Name and version of everything that `decoded` pixels depend on."""
    packages = ["pillow", "simplejpeg", "pillow-heif", "pillow-jxl-plugin"]
    return " ".join([f"views-{VIEW_VERSION}", *filter(None, map(_installed, packages))])


def _installed(package: str) -> str:
    try:
        return f"{package}-{version(package)}"
    except PackageNotFoundError:
        return ""
