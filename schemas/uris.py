"""Relative media uris: readable text that gives back the exact bytes of a file name.

Only what would be ambiguous is escaped as `%XX`: `%` itself, `#` (it starts a fragment), control
characters and bytes that are not UTF-8.
"""

import re

_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


def quote_path(path: bytes) -> str:
    """Raw file-system bytes to uri text."""
    text = path.decode("utf-8", "surrogateescape")
    return "".join(_quote(c) for c in text)


def unquote_path(uri: str) -> bytes:
    """Uri text, without its fragment, to raw file-system bytes."""
    return _ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), uri.encode())


def split_fragment(uri: str) -> tuple[str, str]:
    """`FILE#row=3&column=c` to (`FILE`, `row=3&column=c`)."""
    path, _, fragment = uri.partition("#")
    return path, fragment


def _quote(char: str) -> str:
    if char in "%#" or ord(char) < 32 or ord(char) == 127 or "\udc80" <= char <= "\udcff":
        return "".join(f"%{b:02X}" for b in char.encode("utf-8", "surrogateescape"))
    return char
