"""Records by place: reads in the order in which they lie, near ones together, each checked before use."""

import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from thresher.loader.index import Place
from thresher.schemas.manifest import fetch_into

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


class Reader:
    """Reads by `threads` threads into memory that is used again: a call ends what the last one gave."""

    def __init__(self, threads: int) -> None:
        self._count, self._threads = threads, ThreadPoolExecutor(threads)
        self._room = memoryview(bytearray())

    def read(self, places: Sequence[Place]) -> list[memoryview | str]:
        """The record at each place; for one that cannot be had in three tries, the reason."""
        out: list[memoryview | str] = [""] * len(places)
        spans, total = [], 0
        for numbers in merged(places):
            start = places[numbers[0]].offset
            size = max(places[i].offset + places[i].size for i in numbers) - start
            spans.append((numbers, start, size, total))
            total += size
        if total > len(self._room):
            self._room = memoryview(bytearray(total * 5 // 4))

        def work(first: int) -> None:
            for numbers, start, size, at in spans[first :: self._count]:
                data = _read(places[numbers[0]].shard, start, self._room[at : at + size])
                for i in numbers:
                    record = data
                    if not isinstance(data, str):
                        record = data[places[i].offset - start :][: places[i].size]
                    out[i] = _checked(record, places[i])

        list(self._threads.map(work, range(self._count)))
        return out

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


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
    return _checked(_read(place.shard, place.offset, memoryview(bytearray(place.size))), place, tries - 1)


def _read(shard: str, start: int, room: memoryview) -> memoryview | str:
    try:
        return room[: fetch_into(shard, start, room)]
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
