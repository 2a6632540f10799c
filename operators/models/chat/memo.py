"""Answers kept by what was asked: an append-only journal, written before a record goes on.

Each process writes two files of its own: `.dat`, a line of JSON for each answer, and then `.idx`, an entry of
fixed size. No fsync: what was handed to the kernel outlives a killed process. What a lost machine tore does
not match its checksum, and is asked again.
"""

import asyncio
import json
import os
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.operators.base import Failure
from thresher.operators.models.chat.question import KEY_BYTES
from thresher.operators.models.chat.replies import Reply, Token
from thresher.schemas import Reason
from thresher.schemas.errors import ThresherError

ENTRY = np.dtype(
    [
        ("first", "<u8"),
        ("second", "<u8"),
        ("offset", "<u8"),
        ("length", "<u4"),
        ("crc", "<u4"),
        ("prompt_tokens", "<u4"),
        ("completion_tokens", "<u4"),
        ("price", "<f8"),
    ]
)
"""Of `.idx`: the key's halves, where its line is in `.dat`, and what the answer cost."""
_PACKED = struct.Struct("<QQQIIIId")
Words = NDArray[np.uint64]
NO_WORDS: Words = np.empty(0, np.uint64)
LIST_S = 1.0
"""How often the folder is listed at least; its own time tells of new files, but not to the millisecond."""
FOLD = 1 << 16
"""Entries that wait in a dict before they are sorted in among the others."""


class Kept(NamedTuple):
    """An answer, and how long it took."""

    answer: Reply | Failure
    seconds: float


class Memo:
    """The journals in one folder, of all processes; 16 bytes of memory for each answer."""

    def __init__(self, folder: Path) -> None:
        self.tokens, self.money = 0, 0.0
        """What all answers together cost, as far as it was read."""
        self._folder, self._lock = folder, threading.Lock()
        self._firsts = self._places = NO_WORDS
        self._recent: dict[int, int] = {}
        self._stems: list[Path] = []
        self._numbers: dict[Path, int] = {}
        """Stem of a journal -> its number in `_stems`."""
        self._known: dict[Path, int] = {}
        """Stem -> entries of it that were taken in."""
        self._indices: dict[Path, str] = {}
        self._changed, self._listed = 0, 0.0
        self._own: _Writer | None = None
        self._asked: dict[bytes, asyncio.Event] = {}
        """Key of what is under way -> set when that has ended."""
        folder.mkdir(parents=True, exist_ok=True)
        self.refresh()

    def get(self, key: bytes) -> Kept | None:
        """The answer to what was asked under this key."""
        with self._lock:
            first = _halves(key)[0]
            places = self._sorted(first) if len(self._firsts) else []
            if first in self._recent:
                places.append(self._recent[first])
            found = (self._line(place, key) for place in places)
            line = next((line for line in found if line is not None), None)
        return None if line is None else _unpacked(line)

    async def awaited(self, key: bytes) -> Kept | None:
        """The kept answer of `key`, after an equal request that is under way has ended; None if none came."""
        if first := self._asked.get(key):
            await first.wait()
        return self.get(key)

    @contextmanager
    def asking(self, key: bytes) -> Iterator[None]:
        """Around asking for what has no answer: who comes with an equal request meanwhile can wait for it."""
        if key in self._asked:  # those who waited in vain ask by themselves, side by side
            yield
            return
        ended = self._asked[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._asked[key]
            ended.set()

    def add(self, key: bytes, kept: Kept, price: float) -> None:
        """Keep an answer. Raises ThresherError where the file cannot be written."""
        with self._lock:
            try:
                if self._own is None:
                    self._own = _Writer(self._folder)
                    self._begin(self._own.stem)
                self._own.add(key, _packed(kept), kept.answer, price)
            except OSError as error:
                self._own = None  # its end may be torn
                what = f"an answer cannot be written: {error.strerror}"
                raise ThresherError(what, str(self._folder), "Make room, and run the same command") from error
            self.tokens += sum(_tokens(kept.answer))
            self.money += price
            self._recent[_halves(key)[0]] = self._next(self._own.stem, 1)
            if len(self._recent) >= FOLD:
                self._sort_in()

    def refresh(self) -> None:
        """Read what other processes have written since."""
        with self._lock:
            changed = os.stat(self._folder).st_mtime_ns
            if changed != self._changed or time.monotonic() > self._listed + LIST_S:
                self._changed, self._listed = changed, time.monotonic()
                for name in sorted(os.listdir(self._folder)):
                    if name.endswith(".idx"):
                        self._begin(self._folder / name.removesuffix(".idx"))
            for stem, index in self._indices.items():
                more = os.stat(index).st_size // ENTRY.itemsize - self._known[stem]
                if more > 0:
                    start = self._known[stem] * ENTRY.itemsize
                    self._take(stem, np.fromfile(index, ENTRY, more, offset=start))

    def _begin(self, stem: Path) -> None:
        if stem not in self._known:
            self._numbers[stem] = len(self._stems)
            self._stems.append(stem)
            self._indices[stem], self._known[stem] = str(stem) + ".idx", 0

    def _next(self, stem: Path, entries: int) -> int:
        """The place of the first of the next entries of a journal, which are known from now on."""
        known = self._known[stem]
        self._known[stem] = known + entries
        return (self._numbers[stem] << 32) + known

    def _take(self, stem: Path, entries: np.ndarray) -> None:
        """Take the next entries of a journal in."""
        self.tokens += int(entries["prompt_tokens"].sum()) + int(entries["completion_tokens"].sum())
        self.money += float(entries["price"].sum())
        start = self._next(stem, len(entries))
        places = np.arange(start, start + len(entries), dtype=np.uint64)
        if len(entries) + len(self._recent) < FOLD:
            self._recent.update(zip(entries["first"].tolist(), places.tolist(), strict=True))
        else:
            self._sort_in(entries["first"], places)

    def _sorted(self, first: int) -> list[int]:
        """The places of entries with this half of a key."""
        start = np.searchsorted(self._firsts, np.uint64(first), "left")
        stop = np.searchsorted(self._firsts, np.uint64(first), "right")
        return list(self._places[start:stop].tolist())

    def _sort_in(self, firsts: Words = NO_WORDS, places: Words = NO_WORDS) -> None:
        """These, and what waits, among the others."""
        recent = (np.fromiter(half, np.uint64) for half in (self._recent.keys(), self._recent.values()))
        firsts = np.concatenate([self._firsts, next(recent), firsts])
        places = np.concatenate([self._places, next(recent), places])
        order = np.argsort(firsts, kind="stable")
        self._firsts, self._places = firsts[order], places[order]
        self._recent.clear()

    def _line(self, place: int, key: bytes) -> bytes | None:
        """The line at a place, if it is whole and belongs to the key."""
        file, number = divmod(place, 1 << 32)
        stem, size = self._stems[file], ENTRY.itemsize
        entry = _piece(stem.with_suffix(".idx"), number * size, size)
        if len(entry) < size or entry[:KEY_BYTES] != key:
            return None
        _, _, offset, length, crc, *_ = _PACKED.unpack(entry)
        line = _piece(stem.with_suffix(".dat"), offset, length)
        return line if zlib.crc32(line) == crc else None


class _Writer:
    """The files of this process."""

    def __init__(self, folder: Path) -> None:
        self.stem = folder / f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}"
        self._data = _appended(self.stem.with_suffix(".dat"))
        self._index = _appended(self.stem.with_suffix(".idx"))
        self._offset = 0

    def add(self, key: bytes, line: bytes, answer: Reply | Failure, price: float) -> None:
        """Raises OSError."""
        where = (self._offset, len(line), zlib.crc32(line))
        self._offset += _write(self._data, line)
        _write(self._index, _PACKED.pack(*_halves(key), *where, *_tokens(answer), price))


def _halves(key: bytes) -> tuple[int, int]:
    return int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")


def _tokens(answer: Reply | Failure) -> tuple[int, int]:
    return (answer.prompt_tokens, answer.completion_tokens) if isinstance(answer, Reply) else (0, 0)


def _appended(path: Path) -> BinaryIO:
    return open(path, "ab", buffering=0)


def _write(file: BinaryIO, data: bytes) -> int:
    """Raises OSError unless all of it was written."""
    if file.write(data) != len(data):
        raise OSError(28, "No space left on device")
    return len(data)


def _piece(path: Path, offset: int, length: int) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), length, offset)
    except OSError:
        return b""


def _packed(kept: Kept) -> bytes:
    answer, took = kept.answer, {"seconds": round(kept.seconds, 6)}
    data = {"filtered": answer.message} if isinstance(answer, Failure) else answer._asdict()
    return json.dumps(data | took).encode() + b"\n"


def _unpacked(line: bytes) -> Kept:
    data = json.loads(line)
    seconds = data.pop("seconds")
    if "filtered" in data:
        return Kept(Failure(Reason.FILTERED, data["filtered"]), seconds)
    tokens = tuple(Token(text, tuple((t, p) for t, p in others)) for text, others in data.pop("tokens"))
    return Kept(Reply(**data, tokens=tokens), seconds)


@cache
def opened(folder: str) -> Memo:
    """The one Memo of this process for a folder."""
    return Memo(Path(folder))
