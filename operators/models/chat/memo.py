"""Answers kept by what was asked: an append-only journal, written before a record goes on.

Each process writes two files of its own: `.dat`, a line of JSON for each answer, and then `.idx`, an entry of
fixed size. No fsync: what was handed to the kernel outlives a killed process. What a lost machine tore does
not match its checksum, and is asked again.
"""

import json
import os
import secrets
import struct
import threading
import zlib
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
        self._read: dict[Path, int] = {}
        """Stem -> entries of it that are known."""
        self._own: _Writer | None = None
        self._own_number = -1
        folder.mkdir(parents=True, exist_ok=True)
        self.refresh()

    def get(self, key: bytes) -> Kept | None:
        """The answer to what was asked under this key."""
        with self._lock:
            first = _halves(key)[0]
            start, stop = (
                np.searchsorted(self._firsts, np.uint64(first), side) for side in ("left", "right")
            )
            places = self._places[start:stop].tolist()
            if first in self._recent:
                places.append(self._recent[first])
            found = (self._line(place, key) for place in places)
            line = next((line for line in found if line is not None), None)
        return None if line is None else _unpacked(line)

    def add(self, key: bytes, kept: Kept, price: float) -> None:
        """Keep an answer. Raises ThresherError where the file cannot be written."""
        with self._lock:
            try:
                if self._own is None:
                    self._own, self._own_number = _Writer(self._folder), len(self._stems)
                    self._stems.append(self._own.stem)
                self._own.add(key, _packed(kept), kept.answer, price)
            except OSError as error:
                what = f"an answer cannot be written: {error.strerror}"
                raise ThresherError(what, str(self._folder), "Make room, and run the same command") from error
            self.tokens += sum(_tokens(kept.answer))
            self.money += price
            self._recent[_halves(key)[0]] = (self._own_number << 32) + self._own.entries - 1
            if len(self._recent) >= FOLD:
                self._sort_in()

    def refresh(self) -> None:
        """Read what other processes have written since."""
        with self._lock, os.scandir(self._folder) as files:
            for file in sorted(files, key=lambda file: file.name):
                stem = Path(file.path).with_suffix("")
                if file.name.endswith(".idx") and not (self._own and stem == self._own.stem):
                    self._read_on(stem, file.stat().st_size // ENTRY.itemsize)

    def _read_on(self, stem: Path, entries: int) -> None:
        known = self._read.get(stem, 0)
        if entries <= known:
            return
        if stem not in self._read:
            self._stems.append(stem)
        index = stem.with_suffix(".idx")
        added = np.fromfile(index, ENTRY, entries - known, offset=known * ENTRY.itemsize)
        self._count(added, self._stems.index(stem), known)
        self._read[stem] = known + len(added)

    def _count(self, entries: np.ndarray, file: int, start: int) -> None:
        """Take entries of a file in, the first of which has the number `start`."""
        self.tokens += int(entries["prompt_tokens"].sum()) + int(entries["completion_tokens"].sum())
        self.money += float(entries["price"].sum())
        places = np.arange(start, start + len(entries), dtype=np.uint64) + np.uint64(file << 32)
        if len(entries) < FOLD:
            self._recent.update(zip(entries["first"].tolist(), places.tolist(), strict=True))
        else:
            self._sort_in(entries["first"], places)

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
        stem = self._stems[file]
        entry = np.frombuffer(
            _piece(stem.with_suffix(".idx"), number * ENTRY.itemsize, ENTRY.itemsize), ENTRY
        )
        if not len(entry) or entry.tobytes()[:KEY_BYTES] != key:
            return None
        line = _piece(stem.with_suffix(".dat"), int(entry["offset"][0]), int(entry["length"][0]))
        return line if zlib.crc32(line) == entry["crc"][0] else None


class _Writer:
    """The files of this process."""

    def __init__(self, folder: Path) -> None:
        self.stem = folder / f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}"
        self.entries = 0
        self._data = _appended(self.stem.with_suffix(".dat"))
        self._index = _appended(self.stem.with_suffix(".idx"))
        self._offset = 0

    def add(self, key: bytes, line: bytes, answer: Reply | Failure, price: float) -> None:
        where = (self._offset, len(line), zlib.crc32(line))
        self._offset += _write(self._data, line)
        _write(self._index, _PACKED.pack(*_halves(key), *where, *_tokens(answer), price))
        self.entries += 1


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
