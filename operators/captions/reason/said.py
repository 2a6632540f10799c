"""What rules can compare of a text: numbers, quotes, negations, names and concepts of the lexicon, each with
the things that it is said of."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from thresher.operators.captions.language.lexicon import COMPARED, RELATIONS, Concept, hits
from thresher.operators.captions.language.numbers import MEASURES, retold
from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.language.words import quotes, unquoted
from thresher.operators.captions.taxonomy import Lang

_NEGATION = {
    "en": re.compile(
        r"\b(?:no|not|never|none|without|nobody|nothing|neither|nor|lacking|devoid of|free of|free from"
        r"|empty of|absent|absence of)\b|n't\b|(?<=[a-z])-free\b"
    ),
    "zh": re.compile(
        r"没有|没(?=[人戴穿带])|毫无|不(?![同锈远少断仅规则过久])|无(?![数边尽限])|未(?!来)|空无一"
    ),
}
_CLAUSE = re.compile(r"[,.;:!?，。；：！？\n]|\b(?:and|but|while|with|or)\b|(?:和|与|以及|而|并且|同时)")
_STOP = re.compile(
    r"(?:a|an|the|of|to|in|on|at|by|for|from|is|are|be|was|were|am|its|it|their|his|her|this|that"
    r"|these|those|there|as|into|onto|very|some|any|only|just|has|have|being|each|every|one|ones|other|near|next|beside|under|over)"
)
_PREPOSITIONS = re.compile(
    r"\b(?:in|on|at|by|from|near|beside|next|under|over|behind|above|below|between|to|into|onto)\b"
)
_MEASURE = re.compile(rf"^(?:的|[{MEASURES}])+|^[小大老旧新]")
_COUNTED = re.compile(rf"[一二两三四五六七八九十百千万亿几数半每各这那\d]+[{MEASURES}]")
_DENIED = re.compile(r"([\u4e00-\u9fff]{1,6})[也都]$")
"""What stands before its denial: 一辆车也没有."""
_COMPARED = re.compile(rf"(?:更|还)?(?:{'|'.join(COMPARED)})$")
_NAME = re.compile(r"(?<![.!?\"“] )(?<!^)\b[A-Z][\w'’-]*(?:\s+(?:of\s+|the\s+)?[A-Z][\w'’-]*)*")

Things = frozenset[str]


class Bound(NamedTuple):
    """A concept and the words of what it is said of; for a relation, those before it and those after it."""

    concept: Concept
    things: Things
    others: Things = frozenset()


class Said(NamedTuple):
    """What one text says."""

    bound: frozenset[Bound] = frozenset()
    quotes: Mapping[str, str] = {}
    """Without case, blanks and punctuation -> as written."""
    names: Mapping[str, str] = {}
    """Lower case -> as written."""

    @property
    def concepts(self) -> frozenset[Concept]:
        """All that it names, of whatever it says them."""
        return frozenset(b.concept for b in self.bound)


def said(text: str, lang: Lang, names: Iterable[str] = ()) -> Said:
    """What `text` says. `names`: proper names to look for, besides those that capital letters give away.
    Their words tell nothing of size or colour."""
    text = _read(text)
    bare = unquoted(text)
    found = list(capitals(bare, lang)) + [name for name in names if _read(name).lower() in bare.lower()]
    low = bare.lower()
    told = low
    for name in sorted((_read(name).lower() for name in found), key=len, reverse=True):
        told = told.replace(name, " " * len(name))
    bound = {_bind(low, lang, concept, a, b) for concept, a, b in hits(told, lang)}
    bound |= {_bind(low, lang, Concept("number", digits), a, b) for a, b, digits in retold(low, lang)}
    bound |= {_bind(low, lang, Concept("negation", "not"), *m.span()) for m in _NEGATION[lang].finditer(low)}
    return Said(frozenset(bound), {plain(q): q for q in quotes(text)}, {_read(n).lower(): n for n in found})


def capitals(text: str, lang: Lang) -> list[str]:
    """The names that capital letters give away."""
    return [m[0] for m in _NAME.finditer(text)] if lang == "en" else []


def plain(text: str) -> str:
    """Letters and digits alone, for comparing what is written on things."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def content(text: str, lang: Lang) -> Things:
    """The words that carry meaning: stems in English, pairs of Han characters in Chinese."""
    text = _read(text).lower()
    if lang == "en":
        return frozenset(_stem(w) for w in re.findall(r"[a-z0-9][a-z0-9'-]*", text) if not _STOP.fullmatch(w))
    runs = re.findall(r"[\u3400-\u9fff]+", re.sub(r"[的了着在是]", " ", text))
    pairs = {run[i : i + 2] for run in runs for i in range(max(1, len(run) - 1))}
    return frozenset(pairs) | frozenset(re.findall(r"[a-z0-9]+", text))


def others(text: str, lang: Lang) -> Things:
    """The words that carry meaning beside its concepts and numbers; none of what it denies or quotes."""
    text = _read(text).lower()
    if _NEGATION[lang].search(text) or quotes(text):
        return frozenset()
    spans = [(hit.start, hit.end) for hit in hits(text, lang)]
    spans += [(a, b) for a, b, _ in retold(text, lang)]
    spans += [m.span() for m in _COUNTED.finditer(text)] if lang == "zh" else []  # 三艘, 一个
    for a, b in spans:
        text = text[:a] + "，" * len(text[a:b]) + text[b:]
    return content(text, lang)


def _read(text: str) -> str:
    return simplified(unicodedata.normalize("NFKC", text)).replace("’", "'")


def _bind(text: str, lang: Lang, concept: Concept, start: int, end: int) -> Bound:
    if concept.family in RELATIONS:
        before, after = _sides(text, lang, start, end)
        return Bound(concept, _side(before, lang), _side(after, lang))
    if text[start:end] == "-free":
        return Bound(concept, content(re.split(r"\s", text[:start])[-1], lang))
    rest = _CLAUSE.split(text[end:], maxsplit=1)[0]
    if lang == "en":
        rest = _PREPOSITIONS.split(rest.removeprefix(" of"), maxsplit=1)[0]
        return Bound(concept, content(" ".join(rest.split()[:4]), lang))
    while shorter := _MEASURE.sub("", rest):
        if shorter == rest:
            break
        rest = shorter
    rest = re.split(r"[在的]", rest, maxsplit=1)[0][:4]
    if concept.family == "negation" and not rest and (denied := _DENIED.search(text[:start])):
        return Bound(concept, _side(denied[1], lang))
    return Bound(concept, content(rest, lang) | content(rest[:1], lang))


def _sides(text: str, lang: Lang, start: int, end: int) -> tuple[str, str]:
    """The words before and after a relation. In Chinese both stand before it: A在B左边, A比B大."""
    before, after = text[:start], text[end:]
    stops = [m.end() for m in re.finditer(r"[,.;:!?，。；：！？\n]", before)]
    before = before[stops[-1] if stops else 0 :]
    if lang == "en":
        return before, re.split(r"[,.;:!?\n]", after, maxsplit=1)[0]
    split = "比" if text[start] == "比" else "在"
    first, _, second = (before + text[start:end]).rpartition(split)
    return first, _COMPARED.sub("", second) if split == "比" else second.removesuffix(text[start:end])


def _side(text: str, lang: Lang) -> Things:
    """Its words; in Chinese also the sign that ends its noun, as 一匹马 is 马."""
    return content(text, lang) | (content(text.rstrip()[-1:], lang) if lang == "zh" else frozenset())


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending, with_ in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + with_
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
