"""The members of a tar, from its headers alone: nothing is extracted, data are skipped by seeking.

`tarfile` reads the headers (ustar, old V7, GNU, PAX); the walk is our own, so that every break in the
archive has an offset and is told apart from its end.
"""

import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from thresher.schemas import Reason

MAX_EXTENSION = 1 << 20
"""A long name or a PAX header above 1 MiB is taken for damage."""


class Break(Exception):
    """The archive cannot be read from `offset` on."""

    def __init__(self, reason: Reason, offset: int, message: str) -> None:
        self.reason, self.offset, self.message = reason, offset, message
        super().__init__(message)


class _Headers:
    """The file as `tarfile` sees it: an extension is refused before it takes memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.tell, self.seek, self._read = file.tell, file.seek, file.read

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_EXTENSION:
            raise tarfile.HeaderError(f"an extended header claims {size} bytes")
        return self._read(size)


def members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Every member in order, up to the first block of zeros. Raises Break where the archive is damaged
    or cut: after the last whole member. `file` may be moved between two members."""
    size = file.seek(0, 2)
    if size == 0:
        raise Break(Reason.EMPTY_FILE, 0, "the archive has zero bytes")
    headers: Any = _Headers(file)
    # "r" would read ahead and hide faults; nothing is written, since it is never closed.
    archive = tarfile.TarFile(fileobj=headers, mode="w", encoding="utf-8", errors="surrogateescape")
    at = 0
    while True:
        file.seek(at)
        archive.offset = at
        block = file.read(tarfile.BLOCKSIZE)
        if len(block) == tarfile.BLOCKSIZE and not any(block):
            if any(file.read(1 << 20)):
                message = "bytes after the end of the archive are not read. Were two archives joined?"
                raise Break(Reason.CORRUPT, at, message)
            return
        file.seek(at)
        try:
            member = tarfile.TarInfo.fromtarfile(archive)
        except (tarfile.HeaderError, ValueError, RecursionError) as error:
            raise _broken(error, at, file.tell(), size) from error
        end = member.offset_data + (member.size if archive.offset > member.offset_data else 0)
        if member.size < 0 or archive.offset <= at:
            raise Break(Reason.CORRUPT, at, "a header is damaged: negative size")
        if (archive.offset - tarfile.BLOCKSIZE + 1 if member.issparse() else end) > size:
            cut = f"{member.name!r} is cut: its data end at {end}, the file at {size}"
            raise Break(Reason.TRUNCATED_CONTAINER, at, cut)
        at = archive.offset
        yield member


def _broken(error: Exception, at: int, read: int, size: int) -> Break:
    """What is wrong with the headers at `at`, of which tarfile has read up to `read`."""
    if read - at < tarfile.BLOCKSIZE:
        if at == 0:
            return Break(Reason.CORRUPT, 0, "not a tar: shorter than one header")
        message = f"the archive ends at {size}, without its end marker: members may be missing"
        return Break(Reason.TRUNCATED_CONTAINER, at, message)
    if read >= size and read - at > tarfile.BLOCKSIZE:
        return Break(Reason.TRUNCATED_CONTAINER, at, f"the archive ends at {size}, inside a header")
    what = "not a tar" if at == 0 else "a header is damaged; nothing after it is read"
    return Break(Reason.CORRUPT, at, f"{what}: {error}")
