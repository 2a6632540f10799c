"""The metadata blocks of a file, cut out of its container: never a search for bytes.

Every limit is far above what generators write. What is over a limit, damaged or unknown is left out.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_BLOCK = 4 << 20
"""A text or packet of more bytes, inflated, is left out."""
MAX_STORE = 32 << 20
"""So is a larger store of manifests, which holds thumbnails."""
MAX_BLOCKS = 8
"""Blocks of one kind that are read."""
MAX_PARTS = 4096
"""Chunks, segments or boxes of one container that are walked."""

KEYWORDS = frozenset(
    {
        *("parameters", "prompt", "workflow", "fooocus_scheme", "generation_data", "AIGC"),
        *("invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata", "Dream"),
        *("Software", "Comment", "Description"),
    }
)
"""Text fields that a generator is known by."""

Bytes = bytes | memoryview


@dataclass
class Blocks:
    """What a container holds of interest."""

    texts: dict[str, str] = field(default_factory=dict)
    """Keyword -> text, of PNG text chunks and EXIF fields; the first of a keyword counts."""
    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    iptc: list[bytes] = field(default_factory=list)
    """IPTC-IIM records."""
    c2pa: list[bytes] = field(default_factory=list)
    """JUMBF boxes, from the places where C2PA puts its manifests."""
    camera: set[str] = field(default_factory=set)
    """Of `make`, `model` and `exposure` those that EXIF fields say."""

    def add(self, kind: str, data: Bytes) -> None:
        """A block of the `kind` exif, xmp, iptc or c2pa."""
        blocks: list[bytes] = getattr(self, kind)
        if len(blocks) < MAX_BLOCKS and len(data) <= (MAX_STORE if kind == "c2pa" else MAX_BLOCK):
            blocks.append(bytes(data))

    def add_text(self, keyword: str, text: Bytes | str) -> None:
        """A text field, if generators are known to use it."""
        if keyword in KEYWORDS and len(text) <= MAX_BLOCK:
            self.texts.setdefault(keyword, text if isinstance(text, str) else decoded(text))


def decoded(text: Bytes) -> str:
    """Text as UTF-8, or as Latin-1 if it is none: PNG asks for this, generators write that."""
    try:
        return bytes(text).decode()
    except UnicodeDecodeError:
        return bytes(text).decode("latin-1")


def inflated(data: Bytes) -> bytes | None:
    """A zlib or gzip stream inflated; None if it is damaged or longer than `MAX_BLOCK`."""
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        found = stream.decompress(data, MAX_BLOCK + 1)
    except zlib.error:
        return None
    return found if stream.eof and len(found) <= MAX_BLOCK else None


def boxes(data: Bytes) -> Iterator[tuple[bytes, memoryview]]:
    """(type, content) of each ISO box (JUMBF, JPEG XL, AVIF, HEIC), up to the first that does not fit."""
    view, at = memoryview(data), 0
    for _ in range(MAX_PARTS):
        if at + 8 > len(view):
            return
        length, start = int.from_bytes(view[at : at + 4], "big"), at + 8
        if length == 1 and at + 16 <= len(view):
            length, start = int.from_bytes(view[at + 8 : at + 16], "big"), at + 16
        end = len(view) if length == 0 else at + length
        if not start <= end <= len(view):
            return
        yield bytes(view[at + 4 : at + 8]), view[start:end]
        at = end
