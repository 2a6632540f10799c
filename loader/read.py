"""Records by place: reads in the order in which they lie, near ones together, each checked before use."""

import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from thresher.loader.index import Place
from thresher.schemas.manifest import fetch

GAP = 64 * 1024
"""Bytes that are read for nothing sooner than a second read is made."""
_MOST = 8 << 20
"""Bytes of one read of several records."""
_TRIES = 3
_BLOCK = 512


def merged(places: Sequence[Place], gap: int = GAP) -> list[list[int]]:
    """Numbers of places to read together: less than `gap` bytes of one shard apart, in order."""
    out: list[list[int]] = []
    end = first = 0
    for i in sorted(range(len(places)), key=lambda i: places[i]):
        place = places[i]
        near = out and places[out[-1][0]].shard == place.shard and place.offset < end + gap
        if near and place.offset + place.size - first <= _MOST:
            out[-1].append(i)
        else:
            out.append([i])
            first = end = place.offset
        end = max(end, place.offset + place.size)
    return out


def read(places: Sequence[Place], threads: ThreadPoolExecutor) -> list[memoryview | str]:
    """The record at each place; for one that cannot be had whole after three tries, the reason."""
    out: list[memoryview | str] = [""] * len(places)

    def run(numbers: list[int]) -> None:
        held = [places[i] for i in numbers]
        start, end = held[0].offset, max(p.offset + p.size for p in held)
        data = _read(held[0].shard, start, end - start)
        for i, place in zip(numbers, held, strict=True):
            record = data if isinstance(data, str) else data[place.offset - start :][: place.size]
            for again in range(1, _TRIES):
                if not _fault(record, place):
                    break
                time.sleep(0.05 * again)
                record = _read(place.shard, place.offset, place.size)
            out[i] = _fault(record, place) or record

    list(threads.map(run, merged(places)))
    return out


def _read(shard: str, start: int, size: int) -> memoryview | str:
    try:
        return memoryview(fetch(shard, start, size))
    except OSError as error:
        return f"cannot be read: {error}"


def _fault(record: memoryview | str, place: Place) -> str:
    if isinstance(record, str):
        return record
    if len(record) != place.size:
        return f"ends after {len(record)} of {place.size} bytes"
    return "" if zlib.crc32(record) == place.crc else "its checksum is wrong"


def members(record: memoryview) -> dict[str, memoryview]:
    """Name without key -> data of each member of a record of a tar."""
    out, at = {}, 0
    while at < len(record):
        name = bytes(record[at : at + 100]).rstrip(b"\0").decode()
        size = int(bytes(record[at + 124 : at + 135]), 8)
        at += _BLOCK
        out["." + name.partition(".")[2]] = record[at : at + size]
        at += -(-size // _BLOCK) * _BLOCK
    return out
