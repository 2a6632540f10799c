"""The file of answers: `id,label` lines, each on the disk before the next picture is shown.

Ratings of captions are `id,label,column,wrong`: `wrong` the ids of claims, with blanks between them.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from thresher.schemas.errors import UsageError

HEADER = b"id,label\n"
RATINGS = b"id,label,column,wrong\n"


class Answers:
    """One open file that no other process labels into. Raises UsageError if what it holds does not fit."""

    def __init__(self, file: Path, classes: Sequence[str], column: str = "") -> None:
        """`column`: whose texts are rated; empty: the pictures themselves."""
        self._column, self._header = column, RATINGS if column else HEADER
        file.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._file = file, open(file, "a+b")  # noqa: SIM115 - held, with its lock, to the end
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = "another `thresher label` is at work on this file"
            raise UsageError(what, str(file), "Use its page, or another --name") from error
        self.of: dict[bytes, str] = {}
        """Id -> label, in the order of the answers."""
        self._places: list[tuple[bytes, int]] = []
        """Id and place in the file of each answer, for `undo`."""
        self._load(classes)

    def add(self, record: bytes, label: str, wrong: Sequence[str] = ()) -> None:
        """Append an answer, on the disk when this returns."""
        self._places.append((record, self._file.seek(0, os.SEEK_END)))
        more = f",{self._column},{' '.join(wrong)}" if self._column else ""
        self._file.write(f"{record.hex()},{label}{more}\n".encode())
        self._sync()
        self.of[record] = label

    def undo(self) -> bytes | None:
        """Take the last answer back; its record."""
        if not self._places:
            return None
        record, place = self._places.pop()
        self._file.truncate(place)
        self._sync()
        del self.of[record]
        return record

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _load(self, classes: Sequence[str]) -> None:
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]  # a crash may have cut the last line
        if len(whole) < len(data):
            self._file.truncate(len(whole))
        if not whole:
            self._file.write(self._header)
            self._sync()
            return
        place, first = len(self._header), self._header.decode().strip()
        if not whole.startswith(self._header):
            mend = "Use another --name" if whole.startswith((HEADER, RATINGS)) else ""
            raise UsageError(
                f"is no file of such answers: its first line is not {first}", str(self._path), mend
            )
        for number, line in enumerate(whole[place:].splitlines(keepends=True), 2):
            self._take(line.decode("utf-8", "replace").strip(), number, place, classes)
            place += len(line)

    def _take(self, line: str, number: int, place: int, classes: Sequence[str]) -> None:
        asked, label, *more = line.split(",")
        where = f"{self._path}:{number}"
        if more[:1] != ([self._column] if self._column else []):
            what = f"holds a rating of {more[0]!r}" if more and self._column else f"holds {line!r}"
            raise UsageError(what, where, "Use another --name for each column")
        if label not in classes:
            mend = f"Give its classes with --classes, or use another --name. Now they are {','.join(classes)}"
            raise UsageError(f"holds the label {label!r}", where, mend)
        try:
            record = bytes.fromhex(asked)
        except ValueError:
            record = b""
        if len(record) != 16 or record in self.of:
            what = f"holds {asked!r}, which is no whole id" if len(record) != 16 else f"holds {asked} twice"
            raise UsageError(what, where, "Remove the line")
        self.of[record] = label
        self._places.append((record, place))

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
