"""`ocr_precision`, `ocr_recall`, `ocr_lang`: quoted words against the lines that were read in the picture."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import regex
from rapidfuzz.distance import Levenshtein

from thresher.operators.captions.checks.pii import ANY_MASK, masked, personal
from thresher.operators.captions.checks.sentences import holding
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import HAN, quotes, scripts, word_set
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
_MARKS = regex.compile(r"(?<=\d)(?:[.,·⁄]|\s?[:/]\s?)(?=\d)")
_NO_MARK = regex.compile(r"(?<=\d),(?=\d{3}(?!\d))|(?<=\p{L})['’‘](?=\p{L})")
"""Between thousands, and in `don't`."""
_PIECE = regex.compile(
    r"\p{Han}|\p{Sc}(?=\s?-?\d)|(?<=\d\s?)\p{Sc}"
    r"|(?:(?<![\p{L}\p{N}]|\d\s)-(?=\p{Sc}?\d)|(?<=\d)\.(?=\d)|(?!\p{Han})[\p{L}\p{M}\p{N}])+"
)
"""A Han character, a mark of currency beside a number, a word, or a number with its sign and points."""
_LEFT_OUT = regex.compile(r"…|\.{3}")
_FIGURES = regex.compile(r"[^\p{L}\p{M}]")
_ACCENT = regex.compile(r"[\u0300-\u036f]")
_OPPOSED = word_set(
    """
    左右 上下 有无無 出入进進 开開关關 推拉 东東西南北 男女 大小 前后後 内外 冷热熱 高低 买買卖賣 早晚 新旧舊
    单單双雙 营營休 准禁
    """
)
_DENIAL = "不勿无無非未禁"


class Match(NamedTuple):
    """A quote and the run of lines that it gives; empty where none is alike."""

    quote: str
    lines: tuple[OcrLine, ...]
    whole: bool
    """Whether it is alike as a whole, not a part of the run."""


def plain(text: str) -> str:
    """What is compared: letters, and numbers with their signs, currencies and points (any mark inside one):
    `4.99` is not `49.9`; NFKC, casefolded, telephone numbers and the like masked."""
    return "".join(_pieces(text))


def alike(quote: str, line: str) -> bool:
    """Whether a quote is a line but for misread letters, each word for itself. Numbers must be equal: `42` is
    no misread `24`, though `OPEN 42 HOURS` is 0.82 like `OPEN 24 HOURS`."""
    return _alike(_pieces(quote), _pieces(line), True)


def important(line: OcrLine) -> bool:
    """Whether a line is so clear and large that a full caption must quote it; never personal data."""
    tall = line.height is None or line.height >= HEIGHT
    return line.conf >= SURE and tall and bool(plain(line.text)) and not personal(line.text)


def _pieces(text: str) -> list[str]:
    """The words, numbers and Han characters of a text, as `plain` gives them."""
    kept = unicodedata.normalize("NFKC", ANY_MASK.sub(" ", masked(text, "en"))).casefold()
    kept = _NO_MARK.sub("", regex.sub("[−–]", "-", kept))
    return _PIECE.findall(_MARKS.sub(".", kept))


def _alike(quote: Sequence[str], line: Sequence[str], sure: bool) -> bool:
    """`sure`: whether the line was read so well that a word which differs is another word."""
    said, held = [_bare(piece) for piece in quote], [_bare(piece) for piece in line]
    one, other = "".join(said), "".join(held)
    if not one or not other or _FIGURES.findall(one) != _FIGURES.findall(other):
        return False
    short_han = len(one) <= HAN_CHARS and HAN.search(one)
    if Levenshtein.normalized_similarity(one, other) < (ALIKE_HAN if short_han else ALIKE):
        return False
    return not (_opposed(one, other) or (sure and _other_word(said, held)))


def _bare(piece: str) -> str:
    """Without accents, which signs in capitals often lack."""
    return unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFD", piece)))


def _opposed(one: str, other: str) -> bool:
    """Whether they differ by an opposite, such as `左` and `右`, or by a denial that one lacks."""
    for edit in Levenshtein.editops(one, other):
        lost, got = one[edit.src_pos : edit.src_pos + 1], other[edit.dest_pos : edit.dest_pos + 1]
        if edit.tag == "replace" and any(lost in pair and got in pair for pair in _OPPOSED):
            return True
        if edit.tag != "replace" and (lost if edit.tag == "delete" else got) in _DENIAL:
            return True
    return False


def _other_word(said: Sequence[str], held: Sequence[str]) -> bool:
    """Whether a word of either side is less alike than a whole quote may be: `NOT` and `NOW`."""
    edits = Levenshtein.editops("".join(said), "".join(held))
    ours = [edit.src_pos for edit in edits if edit.tag != "insert"]
    theirs = [edit.dest_pos for edit in edits if edit.tag != "delete"]
    return _changed(said, ours) or _changed(held, theirs)


def _changed(pieces: Sequence[str], places: Sequence[int]) -> bool:
    start = 0
    for piece in pieces:
        changed = sum(start <= place < start + len(piece) for place in places)
        if not HAN.match(piece) and changed > (1 - ALIKE) * len(piece) + 1e-9:
            return True
        start += len(piece)
    return False


def matches(text: str, lines: Sequence[OcrLine]) -> list[Match]:
    """Each quote with letters or numbers and its line, or run of adjacent lines (a sign in two lines); the
    parts before and after `…` are quotes of their own."""
    parts = [part for quote in quotes(text) for part in _LEFT_OUT.split(quote)]
    return [_match(part, lines) for part in parts if plain(part)]


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
    sought = _pieces(quote)
    size = len("".join(sought))
    part: tuple[OcrLine, ...] = ()
    for run, held in _runs(lines, size):
        if _alike(sought, held, all(line.conf >= SURE for line in run)):
            return Match(quote, run, True)
        if not part and _stands(sought, held):
            part = run
    return Match(quote, part, False)


def _runs(lines: Sequence[OcrLine], size: int) -> Iterator[tuple[tuple[OcrLine, ...], list[str]]]:
    """Runs of adjacent lines that start at each, until they are longer than a quote of `size` can match."""
    texts = [_pieces(line.text) for line in lines]
    for start in range(len(lines)):
        held: list[str] = []
        for end in range(start, len(lines)):
            held = held + texts[end]
            yield tuple(lines[start : end + 1]), held
            if sum(map(len, held)) > size / ALIKE_HAN:
                break


def _holds(text: str, part: str) -> bool:
    return _stands(_pieces(part), _pieces(text))


def _stands(sought: list[str], held: list[str]) -> bool:
    """Whether it stands there word for word; one letter or Han character is too little."""
    if sum(map(len, sought)) < 2:
        return False
    return any(held[i : i + len(sought)] == sought for i in range(len(held) - len(sought) + 1))


def _scripts_of(lines: Sequence[OcrLine]) -> frozenset[str]:
    return frozenset[str]().union(*(scripts(line.text) for line in lines))
