"""The columns of a caption record."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from thresher.operators.captions.checks import COLUMNS
from thresher.operators.captions.record import CaptionRecord
from thresher.operators.captions.taxonomy import LANGS, LENGTHS, WRITTEN, Lang, Level
from thresher.schemas import Column
from thresher.schemas.errors import FieldError, nearest

_UNITS = {"en": "words", "zh": "Chinese characters"}


def declared(name: str, languages: Sequence[Lang], levels: Sequence[Level]) -> list[Column]:
    """What a captioner called `name` writes, without back end and revision."""
    made = [Column(name, pa.string(), "", "the caption record: texts, claims, facts, verdicts; JSON")]
    for lang in languages:
        for level in levels:
            least, most = LENGTHS[level][lang]
            unit = "tags" if level == "tags" else _UNITS[lang]
            meaning = f"caption of {least} to {most} {unit}; null if none passed its checks"
            made.append(Column(f"{name}.{lang}.{level}", pa.string(), "", meaning))
    made += [replace(column, name=f"{name}.checks.{column.name}") for column in COLUMNS]
    meaning = "the check that most texts failed, where none passed; `length` if there is none; else null"
    return [*made, Column(f"{name}.failed_check", pa.string(), "", meaning)]


def no_captions(of: str, available: Mapping[str, Column]) -> FieldError:
    """The fault of a step whose parameter `of` names no captions that an earlier step writes."""
    known = [name for name in available if f"{name}.checks.length" in available]
    there = f"There are captions called {', '.join(map(repr, known))}" if known else ""
    mend = nearest(of, known) or there or "Add `- caption` before this step"
    return FieldError(f"no earlier step writes captions called {of!r}", ("of",), mend)


def not_written(column: str, available: Collection[str]) -> str:
    """How to have a captioner write the text `column`, such as `caption.en.dense`; empty if none can."""
    of, *place = column.split(".")
    if f"{of}.failed_check" not in available or len(place) != 2:
        return ""
    lang, level = place
    if lang not in LANGS or level not in WRITTEN or column in available:
        return ""
    spoken = any(name.startswith(f"{of}.{lang}.") for name in available)
    written = any(f"{of}.{one}.{level}" in available for one in LANGS)
    added = [
        f"add {one} to its `{key}`"
        for one, key, there in ((lang, "languages", spoken), (level, "levels", written))
        if not there
    ]
    return f"The captioner {of!r} can write it: {' and '.join(added)}"


def values(
    record: CaptionRecord, name: str, languages: Sequence[Lang], levels: Sequence[Level]
) -> dict[str, Any]:
    """Column -> value of one record."""
    held: dict[str, Any] = {name: record.dumps(), f"{name}.failed_check": failed_check(record)}
    for lang in languages:
        for level in levels:
            text = record.text(lang, level)
            held[f"{name}.{lang}.{level}"] = text.text if text and text.status == "pass" else None
    return held | {f"{name}.checks.{column.name}": record.checks.get(column.name) for column in COLUMNS}


def failed_check(record: CaptionRecord) -> str | None:
    """None if a written text passed, else the check that most of them failed."""
    written = [text for text in record.texts if text.level != "raw"]
    if any(text.status == "pass" for text in written):
        return None
    failed = Counter(check for text in written for check in text.fails)
    return min(failed, key=lambda check: (-failed[check], check), default="length")
