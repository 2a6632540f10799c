"""The rows of a file of JSON: lines, or one array; plain, gzip or Zstandard. Memory is one row of text."""

import codecs
import io
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from thresher.operators.ingest.dialogue import Fault
from thresher.schemas import Reason

MAX_ROW = 16 << 20
"""A row above 16 MiB is refused."""
CHUNK = 1 << 20
INFLATED = 1 << 16
"""Bytes that are inflated at once: as much is lost before the place where an archive is cut."""

Row = dict[str, Any] | Fault

_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}
_BETWEEN = re.compile(r"[\s,]*")
_AT_END = 16
"""Characters before the end of a buffer where a fault may be one of the cut, not of the text."""
_DECODER = json.JSONDecoder(parse_constant=lambda constant: None)
"""NaN and infinity are null, as in Parquet."""


def json_rows(file: BinaryIO) -> Iterator[tuple[int, Row]]:
    """(place from 0, row or what is wrong with it) of each row; blank lines count, and are none.

    Where the rest cannot be read (a cut archive, a broken array), one last Fault stands for it.
    """
    magic = file.read(2)
    file.seek(0)
    packed = magic in _PACKED
    raw: Any = pa.CompressedInputStream(file, _PACKED[magic]) if packed else file
    reader = io.BufferedReader(raw, INFLATED if packed else CHUNK)
    place = -1
    try:
        head = reader.peek()
        if head.startswith(codecs.BOM_UTF8):
            reader.read(len(codecs.BOM_UTF8))
        rows = _elements if head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"[" else _lines
        for place, row in enumerate(rows(reader)):
            if row is not None:
                yield place, row
    except Fault as fault:
        yield place + 1, fault
    except OSError as error:
        if error.errno is not None:
            raise
        message = f"what follows cannot be inflated: {error}"
        yield place + 1, Fault(Reason.TRUNCATED_CONTAINER, message)


def _lines(file: io.BufferedReader) -> Iterator[Row | None]:
    """Each line; None for a blank one."""
    while line := file.readline(MAX_ROW + 1):
        if len(line) <= MAX_ROW or line.endswith(b"\n"):
            yield _line(line) if line.strip() else None
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(CHUNK)
        yield Fault(Reason.TOO_MANY_BYTES, f"more than {MAX_ROW} bytes")


def _line(line: bytes) -> Row:
    try:
        return _row(_DECODER.decode(line.decode()))
    except UnicodeDecodeError as error:
        return Fault(Reason.CORRUPT, f"not UTF-8 at byte {error.start}")
    except RecursionError:
        return Fault(Reason.CORRUPT, "not valid JSON: nested too deeply")
    except ValueError as error:
        return Fault(Reason.CORRUPT, f"not valid JSON: {error}")


def _elements(file: io.BufferedReader) -> Iterator[Row]:
    """Each element of an array. Raises Fault where it is broken: there is no way to find the next."""
    text = codecs.getincrementaldecoder("utf-8")()
    file.read(file.peek().index(b"[") + 1)
    held, at = "", 0
    while True:
        match = _BETWEEN.match(held, at)
        at = match.end() if match else at
        if held.startswith("]", at):
            return
        if at < len(held):
            try:
                value, end = _DECODER.raw_decode(held, at)
                if end < len(held):
                    yield _row(value)
                    at = end
                    continue
            except RecursionError:
                raise Fault(Reason.CORRUPT, "not valid JSON: nested too deeply") from None
            except json.JSONDecodeError as error:
                if error.pos < len(held) - _AT_END and not error.msg.startswith("Unterminated string"):
                    raise Fault(Reason.CORRUPT, f"the array is broken: {error.msg}") from None
            except ValueError as error:
                raise Fault(Reason.CORRUPT, f"the array is broken: {error}") from None
        if len(held) - at > MAX_ROW:
            raise Fault(Reason.TOO_MANY_BYTES, f"more than {MAX_ROW} characters")
        more = file.read(CHUNK)
        try:
            held, at = held[at:] + text.decode(more, final=not more), 0
        except UnicodeDecodeError:
            raise Fault(Reason.CORRUPT, "the array is broken: not UTF-8") from None
        if not more:
            raise Fault(Reason.CORRUPT, "the array is broken: the file ends inside it")


def _row(value: Any) -> Row:
    if isinstance(value, dict):
        return value
    return Fault(Reason.BAD_COLUMNS, f"the row is no object but {type(value).__name__}")
