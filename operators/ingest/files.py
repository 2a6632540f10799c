"""Files below a source's root, local or remote, by their raw relative path."""

import glob
import os
import posixpath
import stat
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

IMAGE_SUFFIXES = frozenset(
    "jpg jpeg jpe jfif png webp gif bmp dib tif tiff avif heic heif jxl".split()  # noqa: SIM905
)
"""Extensions of still images, lower case; the content decides later what a file really is."""


class Found(NamedTuple):
    """One regular file: `path` raw and relative to the root, `size` bytes, `etag` of an object store."""

    path: bytes
    size: int
    mtime_ns: int | None
    etag: str


class Root:
    """A source's root folder. Local paths are raw bytes, so that names need not be UTF-8."""

    def __init__(self, url: str) -> None:
        """Raises ImportError or ValueError if the file system of `url` is not installed or known."""
        self.fs, path = fsspec.core.url_to_fs(url)
        self.path: str = path.rstrip("/") or "/"
        self.local = isinstance(self.fs, LocalFileSystem)

    def join(self, path: bytes) -> bytes:
        """The full path of a relative one."""
        return os.path.join(os.fsencode(self.path), path) if path else os.fsencode(self.path)

    def open(self, path: bytes) -> BinaryIO:
        """Raises OSError."""
        if self.local:
            return open(self.join(path), "rb")
        return cast(BinaryIO, self.fs.open(os.fsdecode(self.join(path)), "rb"))

    def is_folder(self, path: bytes) -> bool:
        """True for a folder; an object store has one where an object's name goes on."""
        full = self.join(path)
        return os.path.isdir(full) if self.local else bool(self.fs.isdir(os.fsdecode(full)))

    def exists(self, path: bytes) -> bool:
        """True if there is anything of that name."""
        full = self.join(path)
        return os.path.exists(full) if self.local else bool(self.fs.exists(os.fsdecode(full)))

    def match(self, pattern: str) -> list[bytes]:
        """Relative paths of what `pattern` names: a path as it stands if it exists, else a glob."""
        literal = os.fsencode(pattern)
        if self.exists(literal):
            return [literal]
        prefix = len(self.join(b"x")) - 1
        if self.local:
            escaped = os.path.join(glob.escape(self.join(b"")), literal)
            return [path[prefix:] for path in glob.glob(escaped, recursive=True)]
        found = self.fs.glob(os.fsdecode(self.join(literal)))
        return [os.fsencode(path)[prefix:] for path in found]

    def inside(self, folder: bytes, path: bytes) -> bytes | None:
        """`path`, relative to `folder` or below the root's address, relative to the root; None beyond it."""
        full = self.join(b"").rstrip(b"/") + b"/"
        address = self.fs.unstrip_protocol(self.path).encode().rstrip(b"/") + b"/"
        below = path.removeprefix(full).removeprefix(address)
        if below == path:
            below = posixpath.join(folder, path)
        normal = posixpath.normpath(below)
        outside = b"://" in below or normal in (b"..", b".") or normal.startswith((b"../", b"/"))
        return None if outside else normal

    def stat(self, path: bytes) -> Found:
        """Size and age of a regular file. Raises OSError; IsADirectoryError if it is none."""
        if self.local:
            state = os.stat(self.join(path))
            if not stat.S_ISREG(state.st_mode):
                raise IsADirectoryError("not a regular file")
            return Found(path, state.st_size, state.st_mtime_ns, "")
        return _remote(path, self.fs.info(os.fsdecode(self.join(path))))

    def remote_files(self, path: bytes) -> Iterator[Found]:
        """Every object below `path` of a remote root."""
        prefix = len(self.join(b"x")) - 1
        for name, info in self.fs.find(os.fsdecode(self.join(path)), detail=True).items():
            yield _remote(os.fsencode(name)[prefix:], info)


def extension(name: bytes) -> str:
    """What follows the last dot, lower case, without the dot; empty for none and for `.name`."""
    stem, dot, suffix = name.rpartition(b".")
    return printable(suffix).lower() if dot and stem else ""


def printable(raw: bytes) -> str:
    """Raw bytes as text for a key or a message; what is not UTF-8 is written as `\\xNN`."""
    return raw.decode("utf-8", "backslashreplace")


def _remote(path: bytes, info: dict[str, Any]) -> Found:
    when = info.get("mtime") or info.get("LastModified") or info.get("last_modified") or info.get("created")
    if isinstance(when, datetime):
        when = when.timestamp()
    mtime_ns = int(when * 1e9) if isinstance(when, int | float) else None
    etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
    return Found(path, int(info.get("size") or 0), mtime_ns, etag)
