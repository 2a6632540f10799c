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


def merged(places: Sequence[Place]) -> list[list[int]]:
    """Numbers of places to read together: less than `GAP` bytes of one shard apart, in order."""
    out: list[list[int]] = []
    shard, first, end = "", 0, 0
    for i in sorted(range(len(places)), key=places.__getitem__):
        place, last = places[i], places[i].offset + places[i].size
        if place.shard == shard and place.offset < end + GAP and last <= first + _MOST:
            out[-1].append(i)
            end = max(end, last)
        else:
            out.append([i])
            shard, first, end = place.shard, place.offset, last
    return out


def read(places: Sequence[Place], threads: ThreadPoolExecutor, count: int) -> list[memoryview | str]:
    """The record at each place, by `count` threads; for one that cannot be had in three tries, the reason."""
    groups = merged(places)
    out: list[memoryview | str] = [""] * len(places)

    def work(mine: list[list[int]]) -> None:
        for numbers in mine:
            held = [places[i] for i in numbers]
            start = held[0].offset
            data = _read(held[0].shard, start, max(p.offset + p.size for p in held) - start)
            for i, place in zip(numbers, held, strict=True):
                at = place.offset - start
                out[i] = _checked(data if isinstance(data, str) else data[at : at + place.size], place)

    list(threads.map(work, [groups[i::count] for i in range(count)]))
    return out


def _checked(record: memoryview | str, place: Place, tries: int = _TRIES) -> memoryview | str:
    if isinstance(record, str):
        fault = record
    elif len(record) != place.size:
        fault = f"it ends after {len(record)} of {place.size} bytes"
    elif zlib.crc32(record) != place.crc:
        fault = "its checksum is wrong"
    else:
        return record
    if tries == 1:
        return fault
    time.sleep(0.05 * (_TRIES - tries))
    return _checked(_read(place.shard, place.offset, place.size), place, tries - 1)


def _read(shard: str, start: int, size: int) -> memoryview | str:
    try:
        return memoryview(fetch(shard, start, size))
    except Exception as error:  # of a store's client, which has kinds of its own
        return f"it cannot be read: {error}"


def members(record: memoryview) -> dict[str, memoryview]:
    """Name without key -> data of each member of a record of a tar."""
    out, at = {}, 0
    while at < len(record):
        head = bytes(record[at : at + 135])
        name, size = head[: head.index(0)].decode(), int(head[124:], 8)
        at += _BLOCK
        out[name[name.index(".") :]] = record[at : at + size]
        at += -(-size // _BLOCK) * _BLOCK
    return out
