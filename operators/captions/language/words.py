"""Words, sentences and quoted spans of English and Chinese text."""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import regex

from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.taxonomy import Lang, Level

HAN = regex.compile(r"\p{Han}")
_BOUNDARY = regex.compile(r"(?V1)(?w)\b")
_WORD = regex.compile(r"[\p{L}\p{N}]")
_ITEMS = regex.compile(r"[,，、;；\n](?!(?<=\d,)\d)")
_ENDS = {
    "en": regex.compile(r"[.!?…]+[\"'”’」』)\]]*(?=\s+[\p{Lu}\p{Lt}\p{Lo}\p{N}\"'“‘(\[「『])|\n+"),
    "zh": regex.compile(r"[。！？!?]+[\"'”’」』）)\]]*|\n+"),
}
_STOPPED = {
    "en": regex.compile(r"[.!?…。！？][\"'”’」』)\]]*$"),
    "zh": regex.compile(r"[。！？!?…][\"'”’」』）)\]]*$"),
}
_ABBREVIATION = regex.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Mt|No|Nos|Prof|Jr|Sr|vs|etc|approx|ca|c|e\.g|i\.e|a\.m|p\.m|cf|fig|Ave|Blvd|Rd)|\b\p{Lu})\.$"
)
_NESTED = {"“": "”", "「": "」", "『": "』", "«": "»", "‹": "›", "〝": "〞", "＂": "＂"}
_OPENING = regex.compile(f"[{''.join(_NESTED)}„《\"'‘`]")
_ELISION = regex.compile(r"(?i)['‘’](?:tis|twas|em|til|cause|round|n|\d0s)\b")
_WRITES = regex.compile(r"(?:写|印|标|题|刻|显示|绣|喷|刷|念|读)(?:着|有|了|作|为|道|成)?[：:，, ]?$")
_READS = (
    r"(?:\b(?i:(?:reads?|reading|says?|saying|labell?ed|marked|lettered)(?: with| as)?[:,]?) |"
    r"(?:写|印|标|题|刻|显示|绣|喷|刷)(?:着|有)[：:]? ?)"
)
_CAPITALS = r"(?:[\p{Lu}\d](?:[\p{Lu}\d&'’.:,/-]*[\p{Lu}\d%])?(?![\p{L}\p{N}--\p{Han}]))"
_BARE = regex.compile(
    rf"(?V1)(?<={_READS})(?=[^\p{{Ll}}]*\p{{Lu}}{{2}})(?P<said>{_CAPITALS}(?:(?: &)? {_CAPITALS})+"
    rf"|(?=\p{{Lu}}{{3}}){_CAPITALS}(?=[.,;:!?)，。；]|$|的?字|等字"
    r"| (?:in|on|at|above|below|under|over|across|beside|near|and|with|stands?|hangs?|lies)\b))"
)
"""Words in capitals that are said to be read, without marks; one alone only where no noun follows, since
`reads NASA news` quotes nothing."""
_LONG_MARKS = regex.compile(
    rf"(?<={_READS})\*\*(?P<said>[^*\n]*[\p{{L}}\p{{N}}][^*\n]*)\*\*"
    r"|&quot;(?P<said>[^&\n]*[\p{L}\p{N}][^&\n]*)&quot;"
)
_SCARE = regex.compile(r"(?i)(?:\bso-called|所谓的?|俗称|人称|称为|称作|号称) ?$")
_CALLED = regex.compile(r"(?i)\b(?:known as|called)(?: an?| the)? $")
"""Before what is called so, not read; in English a name in capitals may be read all the same."""
_WRITTEN = regex.compile(r"^(?:的)?(?:字样|[几两二三四五六七八九十]个(?:大)?字|等字)")


class Quote(NamedTuple):
    """A quoted span: its words, and where it stands with its marks."""

    text: str
    start: int
    end: int


def count(text: str, lang: Lang, level: Level) -> int:
    """Length of a text: words by UAX #29 in English (a Han character is one), Han characters in Chinese,
    items of tags."""
    if level == "tags":
        return len(items(text))
    return len(HAN.findall(text)) if lang == "zh" else len(words(text))


def language_of(text: str) -> Lang:
    """Language of a text that came with a file: Chinese where Han characters are at least as many as the
    other words."""
    han = count(text, "zh", "raw")
    return "zh" if han and han >= count(HAN.sub(" ", text), "en", "raw") else "en"


def words(text: str) -> list[str]:
    """Words by the default boundaries of Unicode (UAX #29), without blanks and punctuation."""
    return [word for word in _BOUNDARY.split(text) if _WORD.search(word)]


def word_set(text: str) -> frozenset[str]:
    """What stands between blanks."""
    return frozenset(text.split())


def with_s(word: str) -> str:
    """`cups`, `boxes`, `berries`: a plural, or the third person of a verb."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else word + "s"


def items(text: str) -> list[str]:
    """The items of tags: what stands between commas, outside quotes and numbers."""
    return _cut(text, [m.span() for m in _ITEMS.finditer(text)], keep=False)


def split(text: str, lang: Lang) -> list[str]:
    """Sentences, without the blanks between them. Stops inside quotes, numbers and abbreviations end none."""
    marks = [m.span() for m in _ENDS[lang].finditer(text)]
    if lang == "en":
        marks = [(a, b) for a, b in marks if not _ABBREVIATION.search(text[:b])]
    return _cut(text, marks, keep=True)


def stopped(text: str, lang: Lang) -> str:
    """A sentence with a full stop, unless it ends with a stop, also one inside the quote at its end."""
    return text if _STOPPED[lang].search(text) else text + {"en": ".", "zh": "。"}[lang]


def quotes(text: str) -> list[str]:
    """The outermost quoted spans, in order, without their marks.

    Apostrophes, feet and inches are no quotes, a mark without its partner quotes nothing, 《》 holds a title
    unless the text says that it is written there, and what is so-called is not read in the picture.
    """
    return [quote.text for quote in quoted(text)]


def unquoted(text: str) -> str:
    """The text with every quoted span and its marks blanked; positions stay."""
    kept = list(text)
    for quote in quoted(text):
        kept[quote.start : quote.end] = " " * (quote.end - quote.start)
    return "".join(kept)


def quoted(text: str) -> list[Quote]:
    """The outermost quoted spans with their places; capitals after `reads` are quoted without marks."""
    read = simplified(text)
    found = [Quote(text[a + 1 : b - 1].strip(), a, b) for a, b in _spans(read)]
    found = [quote for quote in found if _WORD.search(quote.text) and not _is_scare(read, quote)]
    for match in (*_LONG_MARKS.finditer(read), *_BARE.finditer(read)):
        if not any(match.start() < quote.end and quote.start < match.end() for quote in found):
            a, b = match.span("said")
            found.append(Quote(text[a:b].strip(), *match.span()))
    return sorted(found, key=lambda quote: quote.start)


def scripts(text: str) -> frozenset[str]:
    """Scripts of the letters (first word of their Unicode names: LATIN, CJK, HIRAGANA, ...)."""
    plain = unicodedata.normalize("NFKC", text)
    names = (unicodedata.name(letter, "").split() for letter in plain if letter.isalpha())
    return frozenset(name[0] for name in names if name)


def _cut(text: str, marks: list[tuple[int, int]], keep: bool) -> list[str]:
    """Pieces between marks that do not begin inside a quote, with or without the marks."""
    spans = quoted(text)
    found, start = [], 0
    for a, b in marks:
        inside = any(q.start < a and b < q.end for q in spans)
        if not inside:
            found.append(text[start : b if keep else a])
            start = b
    return [piece.strip() for piece in (*found, text[start:]) if piece.strip()]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    last = 0
    for match in _OPENING.finditer(text):
        if match.start() >= last and (end := _close(text, match.start())):
            yield match.start(), end
            last = end


def _is_scare(text: str, quote: Quote) -> bool:
    """Whether a quote marks a word as odd, or tells what a thing is called."""
    before = text[max(0, quote.start - 16) : quote.start]
    return bool(_SCARE.search(before) or (_CALLED.search(before) and quote.text.islower()))


def _close(text: str, start: int) -> int | None:
    """Where the quote that opens at `start` ends; None if none opens there."""
    mark = text[start]
    if mark in _NESTED:
        return _partner(text, start, mark, _NESTED[mark])
    if mark == "„":
        closing = regex.compile("[“”]").search(text, start)
        return closing.end() if closing else None
    if mark == "《":
        end = _partner(text, start, mark, "》")
        written = end and (_WRITES.search(text[max(0, start - 8) : start]) or _WRITTEN.match(text[end:]))
        return end if written else None
    if mark in "\"'‘`" and _opens(text, start):
        return _straight(text, start, mark)
    return None


def _partner(text: str, start: int, opening: str, closing: str) -> int | None:
    depth = 0
    for place in range(start, len(text)):
        if text[place] == closing and (place > start):
            depth -= 1
        elif text[place] == opening:
            depth += 1
        if depth == 0:
            return place + 1
    return None


def _opens(text: str, place: int) -> bool:
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if not after.strip() or _is_latin(before) or _ELISION.match(text, place):
        return False
    return text[place] == '"' or not before or not (before.isalnum() and not HAN.match(before))


def _straight(text: str, start: int, mark: str) -> int | None:
    """The end of a quote whose closing mark could be an apostrophe, or is the same as its opening mark."""
    closing = "’'" if mark == "‘" else mark
    for place in range(start + 1, len(text)):
        if text[place] in closing and text[place - 1].strip() and not _is_latin(text[place + 1 : place + 2]):
            return place + 1
        if mark != '"' and text[place] == mark and _opens(text, place):
            return None
    return None


def _is_latin(letter: str) -> bool:
    """Whether a letter or number that is written with blanks between words."""
    return bool(letter) and letter.isalnum() and not HAN.match(letter)
