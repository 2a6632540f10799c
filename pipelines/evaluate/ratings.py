"""What people said of captions: CSV files `id,label,column,wrong`, as `thresher label` writes them."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from thresher.pipelines.calibrate.labels import resolve
from thresher.pipelines.evaluate.measures import Ratio, Ratios
from thresher.pipelines.evaluate.texts import Scored, parsed
from thresher.pipelines.view import RunView
from thresher.schemas import UsageError

WORDS = {"good": 1.0, "bad": 0.0}


class Rating(NamedTuple):
    """One line."""

    id: bytes
    column: str
    value: float
    wrong: frozenset[str]
    """Ids of claims."""


def read_ratings(files: Sequence[Path], view: RunView, table: str) -> list[Rating]:
    """All ratings. Raises UsageError naming the file and line."""
    return [rating for file in files for rating in _read(file, view, table)]


def rated(
    ratings: Sequence[Rating], column: str, scored: Mapping[bytes, Scored | None]
) -> dict[bytes, Ratios]:
    """Record -> what people said of its texts in `column`; of several ratings the mean."""
    found: dict[bytes, Ratios] = {}
    for rating in ratings:
        of, _, rest = rating.column.partition(".")
        one = scored.get(rating.id)
        if one is None or column not in (of, rating.column):
            continue
        told = found.setdefault(rating.id, {})
        told["rating"] = _plus(told.get("rating"), rating.value, 1)
        claims = [t.claims for t in one.texts if parsed(rest) == (t.lang, t.level)]
        if made := {*sum(claims, ())}:
            known = told.get("claims not wrong")
            told["claims not wrong"] = _plus(known, len(made - rating.wrong), len(made))
    return found


def _plus(known: Ratio | None, value: float, count: float) -> Ratio:
    return Ratio(value, count) if known is None else Ratio(known.sum + value, known.among + count)


def _read(file: Path, view: RunView, table: str) -> list[Rating]:
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", str(file), "Give a file of ratings") from error
    except UnicodeDecodeError as error:
        raise UsageError("is not UTF-8 text", str(file), "Save it as UTF-8") from error
    reader = csv.DictReader(text.splitlines())
    if not {"id", "label", "column"} <= {*(reader.fieldnames or ())}:
        what = f"its first line is {','.join(reader.fieldnames or ())!r}"
        mend = "Begin it with id,label,column,wrong, as `thresher label --caption` writes it"
        raise UsageError(what, str(file), mend)
    lines = [(reader.line_num, row) for row in reader]
    meant = resolve(view, table, sorted({row["id"] for _, row in lines}))
    return [_rating(row, meant[row["id"]], f"{file}:{number}") for number, row in lines]


def _rating(row: Mapping[str, str | None], found: Sequence[bytes], where: str) -> Rating:
    if len(found) != 1:
        what = "is the start of several ids" if found else "is of no record of this run"
        raise UsageError(f"{row['id']!r} {what}", where, "Remove the line, or complete the id")
    wrong = frozenset((row.get("wrong") or "").split())
    return Rating(found[0], row["column"] or "", _number(row["label"] or "", where), wrong)


def _number(label: str, where: str) -> float:
    try:
        value = WORDS[label] if label in WORDS else float(label)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"the label {label!r} is no rating", where, "Rate by numbers, or by good and bad")
    return value
