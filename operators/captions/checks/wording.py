"""Whether the words of a claim say no more than a value: one of a few plain sentences, in every language.

Everything else is left to a verifier that sees the picture: a claim's value is what its captioner filled in,
and its words may say something else.
"""

import unicodedata
from collections.abc import Mapping
from typing import Literal, get_args

import regex

from thresher.operators.captions.checks.ocr import plain
from thresher.operators.captions.facts.nouns import counted, plural
from thresher.operators.captions.language import numbers
from thresher.operators.captions.language.colours import NAMES, word
from thresher.operators.captions.language.words import HAN, quoted
from thresher.operators.captions.taxonomy import Lang

Extent = Literal["most", "some"]
EXTENTS: tuple[Extent, ...] = get_args(Extent)

_COUNT: dict[Lang, regex.Pattern[str]] = {
    "en": regex.compile(
        r"(?i)(?:there (?:is|are) |one can see |the (?:picture|image|photo) (?:shows|has|contains) )?"
        r"(?P<number>[\p{L}\d-]+) (?P<noun>.+?)"
        r"(?: (?:is|are)(?: visible| seen| shown| there)?| can be seen)?(?: in the (?:picture|image|photo))?"
    ),
    "zh": regex.compile(
        r"(?:在)?(?:图|图片|画面|照片)?[中里上]?(?:共?有|可见|可以看到|能看到)?"
        r"(?P<number>[〇零一二两三四五六七八九十百千\d]+)(?P<noun>\p{Han}+)"
    ),
}
_TEXT: dict[Lang, regex.Pattern[str]] = {
    "en": regex.compile(
        r"(?i)(?:(?:it|(?:the |a line of |some )?(?:text|words?|letters|lettering|line))(?: in the picture)? "
        r"(?:reads?|says?|is|are)[:,]? )?Q"
        r"|(?:(?:the |there is the )?(?:text|words?|letters) )?"
        r"Q(?: (?:can be read|can be seen|is visible|is written))?"
    ),
    "zh": regex.compile(
        r"(?:(?:图|图片|画面|照片)?[中里上]?的?)?(?:文字|字样)?(?:写着|写有|写道|印着|印有|显示|有|是|为)?"
        r"(?:文字)?Q(?:的?字样|几个字)?"
    ),
}
_COLOUR: dict[tuple[Lang, Extent], regex.Pattern[str]] = {
    ("en", "most"): regex.compile(
        r"(?i)(?:(?:the )?(?:picture|image|photo) is|(?:most|much) of (?:it|the (?:picture|image|photo)) is)"
        r"(?: mostly| mainly| largely)? C"
    ),
    ("en", "some"): regex.compile(
        r"(?i)C is one of the(?: main)? colou?rs(?: of the (?:picture|image|photo))?"
        r"|one of the(?: main)? colou?rs(?: of the (?:picture|image|photo))? is C"
        r"|(?:there is|the (?:picture|image|photo) (?:has|contains)) C"
        r"(?: in (?:it|the (?:picture|image|photo)))?"
    ),
    ("zh", "most"): regex.compile(
        r"(?:图片|画面|照片|整体)?(?:大部分|多半|主要|以)?(?:是|为|呈)?C(?:的|为主)?"
    ),
    ("zh", "some"): regex.compile(r"(?:图|图片|画面|照片)?[中里上]?(?:的?主要颜色之一[是为]|有|含有)C"),
}
_THING: dict[Lang, regex.Pattern[str]] = {
    "en": regex.compile(
        r"(?i)(?:there (?:is|are) |the (?:picture|image|photo) shows )?(?:an? |the |some )?C N"
        r"(?: (?:is|are) visible| can be seen)?|(?:an? |the )?N (?:is|are) C"
    ),
    "zh": regex.compile(
        r"(?:(?:图|图片|画面|照片)?[中里上]?有)?(?:一\p{Han})?C的?(?P<noun>\p{Han}{1,4})"
        r"|(?P<noun>\p{Han}{1,4})(?:是|为|呈)C的?"
    ),
}
"""Sentences that say only how much, or a thing's colour: Q stands for the quote with its marks, C for the
colour, N for the thing's noun."""
_DENIED = regex.compile("[不没无非未]")
_ONE = {"a", "an", "one", "1", "一"}
_STOP = regex.compile(r"[.。!！]$")


def counts(said: Mapping[Lang, str], count: int, label: str) -> bool:
    """Whether every text says that there are so many of the label's things, and nothing else."""
    return bool(said) and all(_counts(_bare(text), lang, count, label) for lang, text in said.items())


def quotes(said: Mapping[Lang, str], text: str) -> bool:
    """Whether every text says that `text` is written there, to the letter, and nothing else."""
    return bool(said) and all(_quotes(_bare(one), lang, text) for lang, one in said.items())


def extent(said: Mapping[Lang, str], colour: str) -> Extent | None:
    """How much of the picture every text says is of that colour: `most` if one of them says so. None: they
    say something else."""
    found = [_extent(_bare(text), lang, colour) for lang, text in said.items()]
    if not found or None in found:
        return None
    return "most" if "most" in found else "some"


def coloured(said: Mapping[Lang, str], colour: str, label: str) -> bool:
    """Whether every text says that the label's thing is of that colour, and nothing else."""
    return (
        bool(label)
        and bool(said)
        and all(_coloured(_bare(t), lang, colour, label) for lang, t in said.items())
    )


def _bare(text: str) -> str:
    return _STOP.sub("", " ".join(unicodedata.normalize("NFC", text).split()))


def _counts(text: str, lang: Lang, count: int, label: str) -> bool:
    match = _COUNT[lang].fullmatch(text)
    if not match:
        return False
    number, noun = match["number"].casefold(), match["noun"].casefold()
    same = numbers.sure(number + {"en": " things", "zh": "个"}[lang], lang) == {count}
    return (same or (count == 1 and number in _ONE)) and _is_noun(noun, lang, label)


def _is_noun(noun: str, lang: Lang, label: str) -> bool:
    """Whether it is the label's noun; in Chinese after its own measure word or another."""
    if lang == "en":
        return noun in (label, plural(label))
    known = counted(2, label, "zh")[1:]
    other = noun[1:] == known[1:] and bool(numbers.sure("两" + noun, "zh"))
    return bool(HAN.match(known, 1)) and (noun == known or other)


def _quotes(said: str, lang: Lang, text: str) -> bool:
    spans = quoted(said)
    if len(spans) != 1 or not plain(text) or plain(spans[0].text) != plain(text):
        return False
    return bool(_TEXT[lang].fullmatch(_STOP.sub("", said[: spans[0].start] + "Q" + said[spans[0].end :])))


def _extent(said: str, lang: Lang, colour: str) -> Extent | None:
    frame = _frame(said, lang, colour)
    found = [how for how in EXTENTS if frame and _COLOUR[lang, how].fullmatch(frame)]
    return found[0] if found else None


def _coloured(said: str, lang: Lang, colour: str, label: str) -> bool:
    frame = _frame(said, lang, colour)
    if lang == "en":
        nouns = "|".join(map(regex.escape, {label, plural(label)}))
        frame = regex.sub(rf"(?i)\b(?:{nouns})\b", "N", frame)
    match = _THING[lang].fullmatch(frame)
    return bool(match) and not (lang == "zh" and _DENIED.search(match["noun"]))


def _frame(said: str, lang: Lang, colour: str) -> str:
    """The sentence with C for the colour; empty if it does not name it just once."""
    if colour not in NAMES:
        return ""
    pattern = rf"(?i)\b{colour}\b" if lang == "en" else word(colour, lang)
    frame, times = regex.subn(pattern, "C", said)
    return frame if times == 1 else ""
