"""`ocr_precision`, `ocr_recall`, `ocr_lang`: quoted words against the lines that were read in the picture."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import regex
from rapidfuzz.distance import Levenshtein

from thresher.operators.captions.checks.pii import ANY_MASK, masked, personal
from thresher.operators.captions.checks.sentences import holding
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import HAN, quotes, scripts, words
from thresher.operators.captions.record import Facts, OcrLine, Text

ALIKE = 0.8
"""1 - Levenshtein / longer length from which a quote is a line (images.md 6.3)."""
ALIKE_HAN, HAN_CHARS = 0.7, 4
"""The same for Han of at most 4 characters (images.md 6.3)."""
PRECISION, RECALL = 0.9, 0.8
"""images.md 6.3."""
SURE, HEIGHT = 0.8, 0.015
"""Confidence and height (share of the short side) from which a line counts for recall (images.md 6.3)."""
FULL = ("long", "dense")
_NOT_SIGN = regex.compile(r"[^\p{L}\p{M}\p{N}]")


class Match(NamedTuple):
    """A quote and the run of lines that it gives; empty where none is alike."""

    quote: str
    lines: tuple[OcrLine, ...]
    whole: bool
    """Whether it is alike as a whole, not a part of the run."""


def plain(text: str) -> str:
    """What is compared: NFKC, casefolded, letters and numbers only, telephone numbers and the like masked."""
    kept = ANY_MASK.sub(" ", masked(text, "en"))
    return _NOT_SIGN.sub("", unicodedata.normalize("NFKC", kept).casefold())


def alike(quote: str, line: str) -> bool:
    """Whether a quote is a line but for misread letters. Digits must be equal: `42` is no misread `24`,
    though `OPEN 42 HOURS` is 0.82 like `OPEN 24 HOURS`."""
    return _alike(plain(quote), plain(line))


def important(line: OcrLine) -> bool:
    """Whether a line is so clear and large that a full caption must quote it; never personal data."""
    tall = line.height is None or line.height >= HEIGHT
    return line.conf >= SURE and tall and bool(plain(line.text)) and not personal(line.text)


def _alike(quote: str, line: str) -> bool:
    if not quote or not line or _digits(quote) != _digits(line):
        return False
    short_han = len(quote) <= HAN_CHARS and HAN.search(quote)
    bound = ALIKE_HAN if short_han else ALIKE
    return Levenshtein.normalized_similarity(quote, line) >= bound


def matches(text: str, lines: Sequence[OcrLine]) -> list[Match]:
    """Each quote with letters or numbers and its line, or run of adjacent lines (a sign in two lines)."""
    said = [quote for quote in quotes(text) if plain(quote)]
    return [_match(quote, lines) for quote in said]


def judgeable(facts: Facts) -> bool:
    """Whether the picture was read, so that a quote without a line is a fault."""
    return facts.ocr_read or bool(facts.ocr)


def ocr_precision(text: Text, facts: Facts) -> Finding:
    """Characters of the quotes that a line, or a run of adjacent lines, holds, over all quoted characters.

    None where there is no quote, or where nobody read the picture: such a quote is left to the verifier.
    """
    found = matches(text.text, facts.ocr)
    if not found or not judgeable(facts):
        return Finding("ocr_precision", True)
    wrong = [match.quote for match in found if not match.lines]
    total = sum(len(plain(match.quote)) for match in found)
    share = 1 - sum(len(plain(quote)) for quote in wrong) / total
    ok = share >= PRECISION
    told = f"not in the picture's text: {', '.join(map(repr, wrong))}; quote what was read, to the letter"
    places = () if ok else holding(text, wrong)
    return Finding("ocr_precision", ok, share, "" if ok else told, True, places)


def ocr_lang(text: Text, facts: Facts) -> Finding:
    """Share of the quotes in a script of their line; one without a line must be in a script of some line."""
    if not facts.ocr:
        return Finding("ocr_lang", True)
    found = [match for match in matches(text.text, facts.ocr) if scripts(match.quote)]
    wrong = [m.quote for m in found if not scripts(m.quote) & _scripts_of(m.lines or facts.ocr)]
    if not found:
        return Finding("ocr_lang", True)
    told = f"translated: {', '.join(map(repr, wrong))}; quote signs in their own script"
    share = 1 - len(wrong) / len(found)
    return Finding("ocr_lang", not wrong, share, told if wrong else "", True, holding(text, wrong))


def ocr_recall(text: Text, facts: Facts) -> Finding:
    """Characters of the clear lines that long and dense texts quote, over all of them; flagged only."""
    clear = [line for line in facts.ocr if important(line)]
    if text.level not in FULL or not clear:
        return Finding("ocr_recall", True, hard=False)
    found = {line.id for match in matches(text.text, facts.ocr) if match.whole for line in match.lines}
    said = [quote for quote in quotes(text.text) if plain(quote)]
    found |= {o.id for o in clear if any(_holds(quote, o.text) for quote in said)}
    missed = [o.text for o in clear if o.id not in found]
    share = 1 - sum(len(plain(line)) for line in missed) / sum(len(plain(o.text)) for o in clear)
    ok = share >= RECALL
    told = f"the picture's text is not quoted: {', '.join(map(repr, missed[:5]))}"
    return Finding("ocr_recall", ok, share, "" if ok else told, hard=False)


def _match(quote: str, lines: Sequence[OcrLine]) -> Match:
    sought = plain(quote)
    part: tuple[OcrLine, ...] = ()
    for run, held in _runs(lines, len(sought)):
        if _alike(sought, held):
            return Match(quote, run, True)
        if not part and len(sought) <= len(held) and _holds(" ".join(o.text for o in run), quote):
            part = run
    return Match(quote, part, False)


def _runs(lines: Sequence[OcrLine], size: int) -> Iterator[tuple[tuple[OcrLine, ...], str]]:
    """Runs of adjacent lines that start at each, until they are longer than a quote of `size` can match."""
    texts = [plain(line.text) for line in lines]
    for start in range(len(lines)):
        held = ""
        for end in range(start, len(lines)):
            held += texts[end]
            yield tuple(lines[start : end + 1]), held
            if len(held) > size / ALIKE_HAN:
                break


def _holds(text: str, part: str) -> bool:
    """Whether `part` stands in `text` word for word; one letter or Han character is too little."""
    sought = [plain(word) for word in words(part)]
    held = [plain(word) for word in words(text)]
    if len(plain(part)) < 2:
        return False
    return any(held[i : i + len(sought)] == sought for i in range(len(held) - len(sought) + 1))


def _scripts_of(lines: Sequence[OcrLine]) -> frozenset[str]:
    return frozenset[str]().union(*(scripts(line.text) for line in lines))


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())
