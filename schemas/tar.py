"""Reproducible POSIX tars: fixed mode, owner and time."""

import tarfile
from collections.abc import Iterator, Mapping
from typing import NamedTuple

BLOCK = 512
END = bytes(2 * BLOCK)
NAME_BYTES = 100


class Packed(NamedTuple):
    """One record as it lies in a tar."""

    data: bytes
    """Headers, data and padding of all members."""
    members: list[str]
    """Their names, without the key."""
    member_offsets: list[int]
    """Of each member's data, from the record's first byte."""
    member_sizes: list[int]


def pack(key: str, members: Mapping[str, bytes]) -> Packed:
    """A record of `members` (name without key -> data), sorted by name."""
    pieces: list[bytes] = []
    names, offsets, at = sorted(members), [], 0
    for name in names:
        data = members[name]
        pieces += [header(key + name, len(data)), data, bytes(-len(data) % BLOCK)]
        offsets.append(at + BLOCK)
        at += BLOCK + len(data) + len(pieces[-1])
    return Packed(b"".join(pieces), names, offsets, [len(members[name]) for name in names])


def header(name: str, size: int) -> bytes:
    """The 512-byte ustar header of a regular file. Raises ValueError if the name exceeds 100 bytes."""
    raw = name.encode()
    if len(raw) > NAME_BYTES or size >= 8**11:
        raise ValueError(f"the member {name!r} of {size} bytes fits no tar header")
    block = raw.ljust(NAME_BYTES, b"\0") + _BLANK[100:124] + b"%011o\0" % size + _BLANK[136:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _blank() -> bytes:
    """A header without name, size and checksum (which counts itself as eight spaces)."""
    info = tarfile.TarInfo()
    info.mode = 0o644
    block = info.tobuf(tarfile.USTAR_FORMAT)
    return block[:148] + b" " * 8 + block[156:]


_BLANK = _blank()


def members(record: bytes) -> Iterator[tuple[str, int, int]]:
    """(name, offset of the data in `record`, size) of each member.

    Raises ValueError where the bytes are not what `header` writes.
    """
    at = 0
    while at < len(record):
        block = record[at : at + BLOCK]
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ValueError(f"no tar header at byte {at} of the record: {error}") from error
        if block != header(info.name, info.size):
            raise ValueError(f"the header of {info.name} has unexpected fields")
        yield info.name, at + BLOCK, info.size
        at += BLOCK + info.size + (-info.size % BLOCK)
    if at != len(record):
        raise ValueError("the last member ends outside the record")
