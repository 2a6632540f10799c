"""Reproducible POSIX tars: fixed mode, owner and time, hashed while they are written."""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

BLOCK = 512
END = bytes(2 * BLOCK)
NAME_BYTES = 100


class Sink(Protocol):
    """Where a tar goes."""

    def write(self, data: bytes) -> None: ...


class Placed(NamedTuple):
    """Where a record lies in its tar, in bytes."""

    offset: int
    """Of the first header."""
    size: int
    """Headers, data and padding of all members."""
    crc32: int
    """zlib, over these `size` bytes."""
    member_offsets: list[int]
    """Of each member's data, from the tar's start."""
    member_sizes: list[int]


class TarWriter:
    """Appends records to a tar; SHA-256 and size of the whole are known at the end."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sha = hashlib.sha256()
        self.size = 0

    def add(self, members: Sequence[tuple[str, bytes]]) -> Placed:
        """Write the members (name, data) of one record, sorted by name."""
        pieces: list[bytes] = []
        offsets, sizes, start, at = [], [], self.size, self.size
        for name, data in sorted(members):
            pieces += [header(name, len(data)), data, bytes(-len(data) % BLOCK)]
            offsets.append(at + BLOCK)
            sizes.append(len(data))
            at += BLOCK + len(data) + len(pieces[-1])
        crc = 0
        for piece in pieces:
            self._write(piece)
            crc = zlib.crc32(piece, crc)
        return Placed(start, self.size - start, crc, offsets, sizes)

    def finish(self) -> str:
        """Write the end of the archive; returns the file's SHA-256 as hex."""
        self._write(END)
        return self._sha.hexdigest()

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sha.update(data)
        self.size += len(data)


def header(name: str, size: int) -> bytes:
    """The 512-byte ustar header of a regular file. Raises ValueError if the name exceeds 100 bytes."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT)


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
