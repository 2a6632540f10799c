"""EXIF fields in which generators leave texts and cameras their names, and what TIFF keeps in its first
directory."""

import struct
from collections.abc import Iterator

from thresher.operators.aigc.blocks import MAX_BLOCK, Blocks, decoded

_SUB_DIRECTORY = 0x8769
_DESCRIPTION, _MAKE, _MODEL, _SOFTWARE = 0x010E, 0x010F, 0x0110, 0x0131
_USER_COMMENT, _MAKER_NOTE = 0x9286, 0x927C
_EXPOSURE_TIME, _F_NUMBER, _ISO = 0x829A, 0x829D, 0x8827
_XMP, _IIM, _C2PA = 0x02BC, 0x83BB, 0xCD41
_TEXTS = {_DESCRIPTION: "Description", _SOFTWARE: "Software", _MAKER_NOTE: "fooocus_scheme"}
_BLOCKS = {_XMP: "xmp", _IIM: "iptc", _C2PA: "c2pa"}
_CAMERA = {_MAKE: "make", _MODEL: "model"} | dict.fromkeys((_EXPOSURE_TIME, _F_NUMBER, _ISO), "exposure")
_WANTED = {_SUB_DIRECTORY, _USER_COMMENT, *_TEXTS, *_BLOCKS, *_CAMERA}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 13: 4}
"""Bytes of a value, by type: BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, IFD."""
_MAX_FIELDS = 1024


def read_exif(data: bytes, blocks: Blocks) -> None:
    """Add the texts and blocks of an EXIF block, or of a TIFF file, `data`."""
    data = data.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return
    (first,) = struct.unpack_from(order + "I", data, 4)
    for tag, value in _fields(data, order, first):
        if tag == _SUB_DIRECTORY and len(value) == 4:
            for inner, text in _fields(data, order, *struct.unpack(order + "I", value)):
                _add(inner, text, blocks)
        else:
            _add(tag, value, blocks)


def _fields(data: bytes, order: str, at: int) -> Iterator[tuple[int, bytes]]:
    """(tag, bytes of the value) of each field of a directory that is of interest."""
    if at + 2 > len(data):
        return
    (count,) = struct.unpack_from(order + "H", data, at)
    for field in range(at + 2, at + 2 + 12 * min(count, _MAX_FIELDS), 12):
        if field + 12 > len(data):
            return
        tag, kind, number = struct.unpack_from(order + "HHI", data, field)
        size = _SIZES.get(kind, 0) * number
        if tag not in _WANTED or not 0 < size <= MAX_BLOCK:
            continue
        start = field + 8 if size <= 4 else struct.unpack_from(order + "I", data, field + 8)[0]
        if start + size <= len(data):
            yield tag, data[start : start + size]


def _add(tag: int, value: bytes, blocks: Blocks) -> None:
    if tag in _BLOCKS:
        blocks.add(_BLOCKS[tag], value)
    elif tag == _USER_COMMENT:
        blocks.add_text("parameters", _user_comment(value))
    elif tag in (_MAKE, _MODEL, _DESCRIPTION) and value[:16].lower().startswith((b"workflow:", b"prompt:")):
        keyword, _, text = value.partition(b":")
        blocks.add_text(decoded(keyword).lower(), text.rstrip(b"\x00"))
    elif tag in _CAMERA and value.strip(b"\x00 "):
        blocks.camera.add(_CAMERA[tag])
    elif tag in _TEXTS:
        blocks.add_text(_TEXTS[tag], value.rstrip(b"\x00 "))


def _user_comment(value: bytes) -> str:
    """The text behind the eight bytes that name its code. UNICODE is UTF-16 in either order."""
    code, text = value[:8], value[8:]
    if code != b"UNICODE\x00":
        return decoded(text if code in (b"ASCII\x00\x00\x00", bytes(8)) else value).rstrip("\x00")
    big = text[0::2].count(0) >= text[1::2].count(0)
    return text.decode("utf-16-be" if big else "utf-16-le", "replace").lstrip("\ufeff").rstrip("\x00")
