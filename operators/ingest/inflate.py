"""A compressed archive as a plain one in the spool folder: inflated once, in a stream, up to a limit."""

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

from thresher.operators.ingest.rows import Unit

MAX_INFLATED = 64 << 30
"""An archive that inflates to more than 64 GiB is refused: a shard has a few."""

GZIP_MAGIC = b"\x1f\x8b"

_WRITE = 4 << 20


class TooLarge(Exception):
    """The archive inflates to more than `MAX_INFLATED` bytes."""


def inflate(file: BinaryIO, unit: Unit, target: str, alive: Callable[[], None]) -> str | None:
    """Write the gzip stream `file` inflated to `target`, unless that holds it already.

    Returns what is wrong with the stream; all up to there is in `target`. A sound one gets the
    unit's state as its time, by which the next scan knows it. Raises TooLarge; OSError if the disk is full.
    """
    state = f"{unit.size} {unit.mtime_ns} {unit.etag}".encode()
    seconds = int.from_bytes(hashlib.blake2b(state, digest_size=4).digest()) >> 1
    stamp = seconds * 1_000_000_000  # whole seconds in 1970-2038, so that a coarse file system keeps them
    if os.path.exists(target) and os.stat(target).st_mtime_ns == stamp:
        return None
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as out:
            fault = _write(file, out, alive)
            out.flush()
            os.fsync(out.fileno())
        if fault is None:
            os.utime(temporary, ns=(stamp, stamp))
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return fault


def _write(file: BinaryIO, out: BinaryIO, alive: Callable[[], None]) -> str | None:
    written = 0
    stream = gzip.GzipFile(fileobj=file, mode="rb")
    while True:
        alive()
        try:
            data = stream.read1(_WRITE)
        except EOFError:
            return "the gzip stream ends early"
        except (OSError, zlib.error) as error:
            return f"the gzip stream is damaged: {error}"
        if not data:
            return None
        written += len(data)
        if written > MAX_INFLATED:
            raise TooLarge(f"inflates to more than {MAX_INFLATED} bytes")
        out.write(data)
