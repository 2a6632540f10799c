"""All decoding: a medium's bytes to the views that Measures ask for.

A view's pixels are a function of the file and the view alone, never of which views are asked for
together. Cost: one header, at most one full and one scaled decode of a file. The decoders load
with the first file, so that a run that opens none starts without them.
"""

import hashlib
import re
from collections.abc import Callable, Collection
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

from thresher.operators.base import View
from thresher.operators.views.opener import MediaError
from thresher.schemas.records import Media, Record

if TYPE_CHECKING:
    from thresher.operators.views.header import Header

__all__ = ["VIEW_VERSION", "Checked", "MediaError", "decoder_versions", "open_record", "open_views"]

VIEW_VERSION = 1
"""Raised whenever a view's pixels change."""


class Checked(NamedTuple):
    """An image that decodes as a whole; `sha` is the SHA-256 of its file."""

    header: "Header"
    sha: bytes


def open_views(data: bytes, views: Collection[View]) -> dict[View, Any]:
    """Every view asked for, from one open of the file `data`.

    Raises MediaError: empty_file, not_media, corrupt, truncated, no_decoder, too_many_pixels.
    """
    from thresher.operators.views.decoder import Decoder

    decoder = Decoder(data)
    return {view: decoder.view(view) for view in views}


def open_record(record: Record, views: Collection[View], read: Callable[[Media], bytes]) -> dict[View, Any]:
    """Every view asked for, of the record's picture and of its others. Raises as `open_views`; KeyError where
    it has no picture, and a view is of that."""
    first = [view for view in views if view.kind not in ("others", "images")]
    opened = open_views(read(record.medium()), first) if first or not views else {}
    for view in views:
        if view.kind == "images":
            opened[view] = [_checked(read(medium)) for medium in record.media if medium.role == "image"]
        if view.kind == "others":
            rgb = View("rgb", view.size)
            opened[view] = [open_views(read(medium), [rgb])[rgb] for medium in others(record)]
    return opened


def _checked(data: bytes) -> Checked:
    opened = open_views(data, [_HEADER, _DECODED])
    return Checked(opened[_HEADER], hashlib.sha256(data).digest())


def others(record: Record) -> list[Media]:
    """A record's further pictures: members of its tar called `KEY.1.jpg`, `KEY.2.jpg`, ... or
    `KEY.target.jpg`, in this order."""
    found = [(match, m) for m in record.media if m.role == "extra" and (match := _OTHER.fullmatch(m.format))]
    return [m for match, m in sorted(found, key=lambda f: (not f[0][1], int(f[0][1] or 0), f[1].format))]


_HEADER, _DECODED = View("header"), View("decoded")
_OTHER = re.compile(r"(?:(\d{1,4})|target)\.(?:jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|avif|heic|heif|jxl)")


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
