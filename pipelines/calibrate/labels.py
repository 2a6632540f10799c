"""Labels from a CSV (`id,label`): every line means one record of the run, or the
command stops and says why."""

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import hexdigits

import numpy as np

from thresher.pipelines.view import RunView
from thresher.schemas import UsageError
from thresher.schemas.ids import byte_rows

SHOWN = 5
_POSITIVE = ("1", "true", "yes", "bad", "drop", "positive")
"""Classes that are taken for the positive one unless told."""


@dataclass(frozen=True)
class Labels:
    """The label of each record, by id."""

    of: dict[bytes, str]
    file: str
    repeated: int = 0
    """Lines that said the same once more."""

    @property
    def classes(self) -> dict[str, int]:
        """How many records have each label."""
        return dict(sorted(Counter(self.of.values()).items()))

    @property
    def numbers(self) -> bool:
        """Whether they are ratings: numbers, and more than two different ones."""
        return len(self.classes) > 2 and all(_number(label) is not None for label in self.classes)

    def digest(self, ids: Sequence[bytes]) -> str:
        """Of the labels of some records."""
        lines = "".join(f"{record.hex()},{self.of[record]}\n" for record in sorted(ids))
        return hashlib.blake2b(lines.encode(), digest_size=8).hexdigest()

    def positive(self, asked: str | None, name: str = "") -> str:
        """The class whose records a predicate should pick. Raises UsageError unless it is plain."""
        names = list(self.classes)
        if asked is not None:
            if asked not in names:
                what = f"no record has the label {asked!r}"
                raise UsageError(what, self.file, f"Its classes are {', '.join(names)}: label some of each")
            chosen = asked
        else:
            plain = [word for word in (name, *_POSITIVE) if word in (n.lower() for n in names)]
            if not plain and len(names) > 1:
                what = f"which of the classes {', '.join(names)} is to be found?"
                raise UsageError(what, self.file, "Say --positive CLASS")
            chosen = next((n for n in names if plain and n.lower() == plain[0]), names[0])
        if len(names) < 2:
            what = f"every record has the label {names[0]!r}: the other class is empty"
            raise UsageError(what, self.file, "Label some records of another class")
        return chosen


def read_labels(file: Path, view: RunView, table: str) -> Labels:
    """The labels in `file` for records of the table. Raises UsageError naming wrong lines."""
    lines = list(_lines(file))
    if not lines:
        raise UsageError("holds no labels", str(file), "Write lines `id,label` below that header")
    meant = resolve(view, table, sorted({asked for _, asked, _ in lines}))
    unknown = sorted(asked for asked, found in meant.items() if not found)
    if unknown:
        what = f"{len(unknown)} of {len(meant)} ids are of no record of {table}: {_some(unknown)}"
        raise UsageError(what, str(file), "Remove those lines, or give the run in which they were made")
    several = sorted(asked for asked, found in meant.items() if len(found) > 1)
    if several:
        what = f"{len(several)} ids are the start of more than one record's: {_some(several)}"
        raise UsageError(what, str(file), "Write more of their digits")
    said: dict[bytes, dict[str, int]] = {}
    for line, asked, label in lines:
        said.setdefault(meant[asked][0], {}).setdefault(label, line)
    torn = [(record, found) for record, found in said.items() if len(found) > 1]
    if torn:
        record, found = torn[0]
        first = " and ".join(f"{label!r} (line {line})" for label, line in found.items())
        what = f"{len(torn)} records have labels that contradict each other; {record.hex()} has {first}"
        raise UsageError(what, str(file), "Remove one of the lines")
    return Labels({r: next(iter(found)) for r, found in said.items()}, str(file), len(lines) - len(said))


def resolve(view: RunView, table: str, asked: Sequence[str]) -> dict[str, list[bytes]]:
    """Asked id or start of one -> the ids that begin so, at most two."""
    found: dict[str, set[bytes]] = {one: set() for one in asked}
    starts = {one for one in asked if one and not set(one) - set(hexdigits)}
    by_length = {n: np.array(sorted(s for s in starts if len(s) == n), f"S{n}") for n in map(len, starts)}
    for part in view.parts(table):
        ids = np.frombuffer(
            byte_rows(view.catalog(table).read(part, ["id"])["id"]).tobytes().hex().encode(), "S32"
        )
        for length, words in by_length.items():
            cut = ids.astype(f"S{length}")
            for i in np.flatnonzero(np.isin(cut, words)).tolist():
                own = found[cut[i].decode()]
                if len(own) < 2:
                    own.add(bytes.fromhex(ids[i].decode()))
    return {one: sorted(ids) for one, ids in found.items()}


def numbers_of(labels: Sequence[str]) -> np.ndarray:
    """Numeric labels as float64."""
    return np.array([float(label) for label in labels], np.float64)


def _lines(file: Path) -> list[tuple[int, str, str]]:
    """(line, id in lower case, label) of each line with a label."""
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        mend = "Give a CSV with the columns id,label, as `thresher label` writes it"
        raise UsageError(f"cannot be read: {error.strerror}", str(file), mend) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError("is not UTF-8 text", f"{file}:{line}", "Save it as UTF-8") from error
    if not text.strip():
        raise UsageError("is empty", str(file), "Write lines `id,label` below a header of these words")
    reader = csv.DictReader(text.splitlines())
    if not {"id", "label"} <= set(reader.fieldnames or ()):
        what = f"its first line is {','.join(reader.fieldnames or ())!r}"
        raise UsageError(what, str(file), "Begin it with the names of the columns: id,label")
    lines = []
    for row in reader:
        asked, label = (row["id"] or "").strip().lower(), (row["label"] or "").strip()
        if not asked or not label:
            what = "has no id" if label else "has no label"
            raise UsageError(what, f"{file}:{reader.line_num}", "Remove the line, or complete it")
        lines.append((reader.line_num, asked, label))
    return lines


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
