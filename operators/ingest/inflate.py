"""A compressed archive as a plain one in the spool folder: inflated once, in a stream, up to a limit."""

import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from thresher.operators.ingest.rows import Unit

MAX_INFLATED = 64 << 30
"""An archive that inflates to more than 64 GiB is refused: a shard has a few."""

GZIP_MAGIC = b"\x1f\x8b"

_READ = 1 << 20
_WRITE = 4 << 20


class TooLarge(Exception):
    """The archive inflates to more than `MAX_INFLATED` bytes."""


class _ReadError(Exception):
    """The compressed file cannot be read on, as against a spool that cannot be written."""


def inflate(file: BinaryIO, unit: Unit, target: str) -> str | None:
    """Write the gzip stream `file` inflated to `target`, unless that holds it already.

    Returns what is wrong with the stream; all up to there is in `target`. A sound one gets the
    unit's state as its time, by which the next scan knows it. Raises TooLarge; OSError if the disk is full.
    """
    stamp = _stamp(unit)
    if os.path.exists(target) and os.stat(target).st_mtime_ns == stamp:
        return None
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as out:
            fault = _write(file, out)
            out.flush()
            os.fsync(out.fileno())
        if fault is None:
            os.utime(temporary, ns=(stamp, stamp))
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return fault


def _stamp(unit: Unit) -> int:
    """Whole seconds in ns, so that a coarse file system keeps them; in 1970-2038."""
    state = f"{unit.size} {unit.mtime_ns} {unit.etag}".encode()
    seconds = int.from_bytes(hashlib.blake2b(state, digest_size=4).digest()) >> 1
    return seconds * 1_000_000_000


def _write(file: BinaryIO, out: BinaryIO) -> str | None:
    written = 0
    try:
        for data in _inflated(file):
            written += len(data)
            if written > MAX_INFLATED:
                raise TooLarge(f"inflates to more than {MAX_INFLATED} bytes")
            out.write(data)
    except zlib.error as error:
        return f"the gzip stream is damaged: {error}"
    except EOFError:
        return "the gzip stream ends early"
    except _ReadError as error:
        return f"the gzip stream cannot be read on: {error}"
    return None


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    """The stream's bytes, a few MiB at a time; several gzip members follow each other."""
    inflater = zlib.decompressobj(31)
    data = _read(file)
    while data:
        yield inflater.decompress(data, _WRITE)
        if inflater.eof:
            data = (inflater.unused_data or _read(file)).lstrip(b"\0")
            if data:
                inflater = zlib.decompressobj(31)
        else:
            data = inflater.unconsumed_tail or _read(file)
    if not inflater.eof:
        yield inflater.flush()
        raise EOFError


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(_READ)
    except OSError as error:
        raise _ReadError(error.strerror or str(error)) from error
