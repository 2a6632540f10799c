"""`xlang`: the English and the Chinese text of one level say the same numbers, quotes and names."""

from collections.abc import Iterator

import regex

from thresher.operators.captions.checks.entities import named
from thresher.operators.captions.checks.ocr import plain
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language import numbers
from thresher.operators.captions.language.words import quotes, unquoted
from thresher.operators.captions.record import CaptionRecord, Entity, Text
from thresher.operators.captions.taxonomy import WRITTEN, Level

LEAST = 1.0
"""Share of numbers, quotes and entities that both languages have (images.md 6.3)."""
_CLOCK = regex.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])")


def xlang(record: CaptionRecord) -> Iterator[tuple[Level, Finding]]:
    """For each level in both languages, the share of what one of the two says that the other says too.

    A number must be sure in one language and not even possible in the other to be missed (`numbers`). Clock
    times in digits are compared where both write them so. A quote must stand in the quotes of the other. An
    entity is said by its name, or by a claim about it where it has no name in that language.
    """
    for level in WRITTEN:
        en, zh = record.text("en", level), record.text("zh", level)
        if en and zh:
            yield level, _compared(record, en, zh)


def _compared(record: CaptionRecord, en: Text, zh: Text) -> Finding:
    said, missed = 0, []
    for one, other in ((en, zh), (zh, en)):
        where = {"en": "English", "zh": "Chinese"}[other.lang]
        counted, may = numbers.sure(one.text, one.lang), numbers.possible(other.text)
        lines = [line for quote in quotes(one.text) if (line := plain(quote))]
        held = "".join(map(plain, quotes(other.text)))
        here, there = _entities(record, one), _entities(record, other)
        times, held_times = _clocks(one.text), _clocks(other.text)
        said += len(counted) + len(lines) + len(here) + len(times)
        missed += [f"{time} is not in the {where} text" for time in sorted(times - held_times) if held_times]
        missed += [f"{number:g} is not in the {where} text" for number in sorted(counted - may)]
        missed += [f"the quote {line!r} is not in the {where} text" for line in lines if line not in held]
        missed += [f"{name!r} is not in the {where} text" for name in sorted(here - there)]
    if not said:
        return Finding("xlang", True)
    told = f"the {en.level} texts differ: {'; '.join(missed)}"
    return Finding("xlang", not missed, 1 - len(missed) / said, told if missed else "")


def _clocks(text: str) -> set[str]:
    """Clock times in digits, outside quotes, on a dial of 12 hours. Told in words, they are left out."""
    return {f"{int(hour) % 12}:{minute}" for hour, minute in _CLOCK.findall(unquoted(text))}


def _entities(record: CaptionRecord, text: Text) -> set[str]:
    """Ids of the entities that a text names."""
    shown = unquoted(text.text)
    return {e.id for e in record.facts.entities if named(shown, e) or _nameless(record, text, e)}


def _nameless(record: CaptionRecord, text: Text, entity: Entity) -> bool:
    if entity.name.get(text.lang):
        return False
    made = (c for c in record.claims if c.id in text.claims)
    return any(c.value is not None and c.value.entity == entity.id for c in made)
