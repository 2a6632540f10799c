"""Whether a text mentions what a detector found, by any of its usual words."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import regex

from thresher.operators.captions.facts.nouns import chinese, plural
from thresher.operators.captions.language.names import BREEDS
from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.language.words import words
from thresher.operators.captions.taxonomy import Lang

_TABLE = Path(__file__).with_suffix(".txt")
"""A label to a line, then what else it is called: English words in the singular / signs of Chinese words.
Wide of purpose, since a right text that fails costs more than a miss."""
_PEOPLE = ("person", "people", "human", "man", "woman", "boy", "girl", "child", "baby", "face", "adult")
_PERSON = regex.compile(
    r"(?:[a-z]{4}ist|[^u]man|men|woman|women|people|person|boy|girl|child|children|[a-z]lady|folk|waitress"
    r"|actress|hostess|(?:play|rid|danc|sing|skat|board|surf|ski|swimm|runn|work|farm|driv|teach|read|paint"
    r"|graph|bak|butch|wait|serv|walk|climb|hik|bik|box|wrestl|catch|keep|fight|offic|lawy|teenag|strang"
    r"|foreign|villag|row|paddl|juggl|jogg|fish|train|rac|perform|rapp|drumm|design|engine|manag|lead|memb"
    r"|mourn|protest|march|lectur|div|vault|sprint|golf|hunt|preach|report|lift|sell|stand|strik|garden"
    r"|carpent|plumb|soldi|eld)er|(?:sail|doct|tail|visit|spectat|instruct|conduct|profess|vend|janit"
    r"|govern|sculpt|surviv|past|operat|warri)or)s?$"
)
"""Ends of English words for people."""
_ONE = regex.compile(
    r"\b(?:an?|one|another|other|second|third)\s((?:\s*(?!(?:an?|one|another)\b)[\p{Latin}-]+,?){1,4})"
)
"""`a red cup`: the words after an article."""


def mentioned(label: str, text: str, lang: Lang) -> bool:
    """Whether a text has a word for a label. In Chinese, labels whose words are not known count as said."""
    if lang == "zh":
        signs = _signs(label)
        return not signs or any(sign in simplified(text) for sign in signs)
    return any(_means(word, label) for word in words(text.casefold()))


def singly(label: str, text: str, lang: Lang) -> int:
    """How many a text may tell of one by one: people at each of their words, things at each `a red cup`."""
    people = person(label)
    if lang == "zh":
        return len(regex.findall(f"(?:{'|'.join(_signs(label))})+", simplified(text))) if people else 0
    said = words(text.casefold())
    if people:
        return sum(_means(word, label) for word in said)
    phrases = [words(match[1]) for match in _ONE.finditer(text.casefold())]
    return sum(any(_means(word, label) for word in phrase) for phrase in phrases)


def person(label: str) -> bool:
    """Whether a label means any human being."""
    return label in _PEOPLE


def _means(word: str, label: str) -> bool:
    if label in _PEOPLE and _PERSON.search(word):
        return True
    known = _called(label)
    return word in known or any(len(one) > 3 and word.endswith(one) for one in known)


@cache
def _called(label: str) -> frozenset[str]:
    """Its English words and those of its table, in the singular and the plural."""
    known = {*label.split(), *_table().get(_key(label), ("", ""))[0].split(), *BREEDS.get(label, ())}
    return frozenset(known | {plural(word) for word in known})


@cache
def _signs(label: str) -> tuple[str, ...]:
    signs = _table().get(_key(label), ("", ""))[1].split()
    noun = chinese(label)
    return (*signs, *([noun] if noun else []))


def _key(label: str) -> str:
    return "person" if label in _PEOPLE else label


@cache
def _table() -> Mapping[str, tuple[str, str]]:
    rows = (line.partition(":") for line in _TABLE.read_text("utf-8").splitlines())
    halves = {label: rest.partition("/") for label, _, rest in rows}
    return {label: (en, zh) for label, (en, _, zh) in halves.items()}
