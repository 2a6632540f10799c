"""Names of the members that pass through from the input."""

import hashlib
import os
from collections.abc import Sequence

from thresher.schemas.ids import ID_BYTES
from thresher.schemas.tar import NAME_BYTES
from thresher.schemas.uris import quote_path

_ROOM = NAME_BYTES - 2 * ID_BYTES - len(".")
_OWN = ("json", "txt", "segments.json")


def member_names(suffixes: Sequence[str], images: Sequence[str]) -> list[str]:
    """Name without key of each unknown member of a record; `images`: the suffixes of its images.

    A suffix keeps its text; `orig.` goes before one that Thresher writes itself or that occurs
    twice (readers fold case, so case does not tell names apart), one that fits no tar header is cut.
    """
    taken = {*_OWN, *images}
    names = []
    for suffix in suffixes:
        name = _cut(quote_path(os.fsencode(suffix)).replace("/", "%2F").strip(".") or "bin")
        while name.lower() in taken:
            name = _cut(f"orig.{name}")
        taken.add(name.lower())
        names.append(f".{name}")
    return names


def _cut(name: str) -> str:
    raw = name.encode()
    if len(raw) <= _ROOM:
        return name
    digest = hashlib.blake2b(raw, digest_size=8).hexdigest()
    return f"{digest}-{raw[len(digest) + 1 - _ROOM :].decode(errors='ignore')}"
