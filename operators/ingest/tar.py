"""The members of a tar, from its headers alone: nothing is extracted, data are skipped by seeking.

Understands ustar, old V7, GNU long names and PAX (POSIX.1-2001). A block's fields are parsed by
`tarfile`; the walk is our own, so that every offset is known and every break in the archive is
told apart from its end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from tarfile import (
    AREGTYPE,
    BLOCKSIZE,
    CONTTYPE,
    DIRTYPE,
    GNUTYPE_LONGLINK,
    GNUTYPE_LONGNAME,
    GNUTYPE_SPARSE,
    REGTYPE,
    SOLARIS_XHDTYPE,
    SUPPORTED_TYPES,
    XGLTYPE,
    XHDTYPE,
    HeaderError,
    TarInfo,
)
from typing import BinaryIO

from thresher.schemas import Reason

MAX_EXTENSION = 1 << 20
"""A long name or a PAX header above 1 MiB is taken for damage."""

_REGULAR = (REGTYPE, AREGTYPE, CONTTYPE)
_VOLUME_LABEL = b"V"


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its data are `size` bytes at `offset`; its first header block starts at `header`."""

    name: bytes
    type: bytes
    header: int
    offset: int
    size: int
    sparse: bool = False

    @property
    def regular(self) -> bool:
        """True if the data are the file's bytes, in one piece."""
        return self.type in _REGULAR and not self.sparse

    @property
    def silent(self) -> bool:
        """True for folders and labels, which hold nothing."""
        return self.type in (DIRTYPE, _VOLUME_LABEL)


class Break(Exception):
    """The archive cannot be read from `offset` on."""

    def __init__(self, reason: Reason, offset: int, message: str) -> None:
        self.reason, self.offset, self.message = reason, offset, message
        super().__init__(message)


def members(file: BinaryIO) -> Iterator[Member]:
    """Every member in order, up to the first block of zeros. Raises Break where the archive is damaged
    or cut: after the last whole member. `file` may be moved between two members."""
    size = file.seek(0, 2)
    if size == 0:
        raise Break(Reason.EMPTY_FILE, 0, "the archive has zero bytes")
    at = 0
    while (member := _next(file, at, size)) is not None:
        end = member.offset + (_padded(member.size) if _has_data(member) else 0)
        if _has_data(member) and member.offset + member.size > size:
            cut = f"{member.name!r} is cut: its data end at {member.offset + member.size}, the file at {size}"
            raise Break(Reason.TRUNCATED_CONTAINER, member.header, cut)
        yield member
        at = end


def _next(file: BinaryIO, at: int, size: int) -> Member | None:
    """The member whose headers start at `at`, with long names and PAX fields applied."""
    start, fields = at, dict[bytes, bytes]()
    while True:
        block = _block(file, at, size)
        if block is None:
            if _trailing(file):
                message = "bytes after the end of the archive are not read. Were two archives joined?"
                raise Break(Reason.CORRUPT, at, message)
            return None
        if block.type in (GNUTYPE_LONGNAME, GNUTYPE_LONGLINK):
            value = _extension(file, block, size).partition(b"\0")[0]
            if block.type == GNUTYPE_LONGNAME:
                fields[b"path"] = value
        elif block.type in (XHDTYPE, SOLARIS_XHDTYPE):
            fields |= _pax(_extension(file, block, size), at)
        elif block.type == XGLTYPE:
            _extension(file, block, size)
        else:
            return _apply(file, replace(block, header=start), fields)
        at = block.offset + _padded(block.size)


def _block(file: BinaryIO, at: int, size: int) -> Member | None:
    """One header block as it stands; None for a block of zeros."""
    file.seek(at)
    raw = file.read(BLOCKSIZE)
    if len(raw) < BLOCKSIZE:
        if at == 0:
            raise Break(Reason.CORRUPT, 0, "not a tar: shorter than one header")
        message = f"the archive ends at {size}, without its end marker: members may be missing"
        raise Break(Reason.TRUNCATED_CONTAINER, at, message)
    if not any(raw):
        return None
    try:
        info = TarInfo.frombuf(raw, "utf-8", "surrogateescape")
    except HeaderError as error:
        what = "not a tar" if at == 0 else "a header is damaged; nothing after it is read"
        raise Break(Reason.CORRUPT, at, f"{what}: {error}") from error
    if info.size < 0:
        raise Break(Reason.CORRUPT, at, "a header is damaged: negative size")
    name = info.name.encode("utf-8", "surrogateescape")
    return Member(name, info.type, at, at + BLOCKSIZE, info.size)


def _extension(file: BinaryIO, block: Member, size: int) -> bytes:
    """The data of a header that describes the next one."""
    if block.size > MAX_EXTENSION:
        raise Break(Reason.CORRUPT, block.header, f"an extended header claims {block.size} bytes")
    if block.offset + block.size > size:
        raise Break(Reason.TRUNCATED_CONTAINER, block.header, f"the archive ends at {size}, inside a header")
    file.seek(block.offset)
    return file.read(block.size)


def _pax(raw: bytes, at: int) -> dict[bytes, bytes]:
    """Records `LENGTH KEY=VALUE\\n` of a PAX header."""
    fields: dict[bytes, bytes] = {}
    while raw.strip(b"\0"):
        length, _, _ = raw.partition(b" ")
        if not length.isdigit() or len(length) > 8 or not len(length) + 1 < int(length) <= len(raw):
            raise Break(Reason.CORRUPT, at, "a PAX header is damaged")
        key, equals, value = raw[len(length) + 1 : int(length) - 1].partition(b"=")
        if not equals:
            raise Break(Reason.CORRUPT, at, "a PAX header is damaged")
        fields[key] = value
        raw = raw[int(length) :]
    return fields


def _apply(file: BinaryIO, member: Member, fields: dict[bytes, bytes]) -> Member:
    name, size = fields.get(b"path", member.name), member.size
    if b"size" in fields:
        if not fields[b"size"].isdigit() or len(fields[b"size"]) > 18:
            raise Break(Reason.CORRUPT, member.header, "a PAX header is damaged: its size is no number")
        size = int(fields[b"size"])
    sparse = member.type == GNUTYPE_SPARSE or any(key.startswith(b"GNU.sparse.") for key in fields)
    name = fields.get(b"GNU.sparse.name", name)
    offset = member.offset
    if member.type == GNUTYPE_SPARSE:
        offset = _after_sparse_map(file, offset)
    return replace(member, name=name, size=size, sparse=sparse, offset=offset)


def _after_sparse_map(file: BinaryIO, offset: int) -> int:
    """Where data start behind the map blocks of an old GNU sparse member (byte 482, then 504: one more)."""
    file.seek(offset - BLOCKSIZE + 482)
    more = file.read(1)
    while more not in (b"", b"\0"):
        file.seek(offset + 504)
        more = file.read(1)
        offset += BLOCKSIZE
    return offset


def _has_data(member: Member) -> bool:
    return member.type in _REGULAR or member.type == GNUTYPE_SPARSE or member.type not in SUPPORTED_TYPES


def _padded(size: int) -> int:
    return -(-size // BLOCKSIZE) * BLOCKSIZE


def _trailing(file: BinaryIO) -> bool:
    """True if something stands within the 1 MiB after the end marker."""
    return any(file.read(1 << 20))
