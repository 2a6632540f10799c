"""What an entity may be called besides its whole name: Messi, 梅西, 长城."""

from functools import cache

import regex

from thresher.operators.captions.language.names import COMMON, ORDINARY, PARTICLES, PLACES_ZH, TYPES_ZH
from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.language.words import HAN

_BLANKS = regex.compile(r"[\s·•・-]+")
_PREFIX = regex.compile(rf"^(?:{'|'.join(PLACES_ZH)})市?")
_LOOSE = 5
"""Han characters from which a name may differ by one before the last, as 艾菲尔铁塔 from 埃菲尔铁塔. Ours."""


def ordinary(word: str) -> bool:
    """Whether an English word that stands in a name is also one that names nothing."""
    return word.casefold() in ORDINARY or word.casefold() in COMMON or word.casefold() in PARTICLES


@cache
def forms(name: str) -> regex.Pattern[str] | None:
    """The name and its short forms, for texts that went through `simplified`; None for a name without words.

    A Latin name counts in any case, with any blanks, not inside a longer word; with its capitals only where
    all its words are ordinary (White House). Its short forms have their capitals: each word that is not
    ordinary with the small words before it (Eiffel, van Gogh), and the first words (Golden Gate).
    A Chinese name is also called by its parts around a dot, without the place before it (杭州西湖), and
    without its type (埃菲尔铁塔) where three characters stay.
    """
    parts = [part for part in _BLANKS.split(name.strip()) if part]
    if not parts:
        return None
    told = _chinese(simplified(name.strip())) if HAN.search(name) else _latin(parts)
    return regex.compile("|".join(told))


def _latin(parts: list[str]) -> list[str]:
    if len(parts) > 1 and parts[0].casefold() == "the":
        parts = parts[1:]
    capital = [part if part in PARTICLES else part[:1].upper() + part[1:] for part in parts]
    own = [not ordinary(part) for part in parts]
    told = [
        _spelt(parts, any_case=True)
        if any(own)
        else f"(?:{_spelt(capital)}|{_spelt([p.upper() for p in parts])})"
    ]
    if len(parts) == 1:
        return told
    for size in range(len(parts) - 1, 0, -1):
        for start in range(len(parts) - size + 1):
            run = capital[start : start + size]
            if run[-1] in PARTICLES:
                continue
            first = not start and sum(part not in PARTICLES for part in run) > 1
            led = size > 1 and all(part in PARTICLES for part in run[:-1]) and own[start + size - 1]
            alone = size == 1 and own[start] and len(run[0]) > 2
            if first or led or alone:
                told.append(_spelt(run))
    return told


def _spelt(parts: list[str], any_case: bool = False) -> str:
    words = r"[\s·•・-]+".join(map(regex.escape, parts))
    left = r"(?<![\p{Latin}\d])" if regex.match(r"[\p{Latin}\d]", parts[0]) else ""
    right = r"(?![\p{Latin}\d])" if regex.search(r"[\p{Latin}\d]$", parts[-1]) else ""
    return f"(?{'i' if any_case else ''}:{left}{words}{right})"


def _chinese(name: str) -> list[str]:
    parts = [part for part in _BLANKS.split(name) if part]
    told = [r"[\s·•・-]*".join(map(regex.escape, parts))]
    short = {part for part in parts if len(parts) > 1}
    short |= {_PREFIX.sub("", part) for part in parts}
    short |= {part.removesuffix(kind) for part in parts for kind in TYPES_ZH if len(part) > len(kind) + 2}
    short = {s for s in short if len(s) > 1 and HAN.match(s) and s not in TYPES_ZH} - {name}
    told += sorted(map(regex.escape, short), key=len, reverse=True)
    if len(parts) == 1 and len(HAN.findall(name)) == len(name) >= _LOOSE:
        told.append(f"(?:{regex.escape(name[:-1])}){{s<=1:\\p{{Han}}}}{regex.escape(name[-1])}")
    return told
