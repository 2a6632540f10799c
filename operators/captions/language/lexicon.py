"""Words by which rules can tell, in English and Chinese, what a text says under a key point.

A closed list of ours: what is not in it is left to a judge. Words of one concept are taken for equal
(crimson is red); words of one family exclude each other where they are said of the same thing.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from thresher.operators.captions.language.words import with_s
from thresher.operators.captions.taxonomy import KeyPoint, Lang

_TABLE = Path(__file__).with_suffix(".txt")
"""A family and its key point to a line, then its concepts: English words / Chinese words, `+` for a blank."""
FREE = frozenset({"pronoun"})
"""Families whose words may come and go; only one in the place of another is a fault."""
RELATIONS = frozenset({"side", "containment", "comparison"})
"""Families whose words have two sides, which must not be swapped."""
_OTHERWISE = re.compile(
    "白天|明白|空白|蛋白|黄昏|黄油|黄瓜|黄金|青年|西红柿|红薯|红绿灯|黑板|黑夜|黑暗|绿化|橙子|紫外|棉花糖|口红|银行|其他|他人|吉他|高铁|地铁|铁路|网格|大象|图像"
)
"""Chinese words that hold the sign of a concept and do not mean it."""
COMPARED = {"大": "bigger than", "小": "smaller than", "高": "taller than", "矮": "shorter than"} | {
    "老": "older than", "年轻": "younger than"
}  # fmt: skip
"""Chinese adjectives of comparisons and their concepts."""
_COMPARING = re.compile(
    rf"比[^，。；,.;比]{{1,8}}?(?:更|还)?({'|'.join(COMPARED)})(?![\u4e00-\u9fff]{{0,2}}[孩狗猫船树象楼山])"
)


_VERBS = ("expression", "contact", "gaze", "body", "animal", "likeness")


class Concept(NamedTuple):
    """`red`, of the family `colour`."""

    family: str
    name: str


class Hit(NamedTuple):
    """A concept that a text names, at characters `start` to `end`."""

    concept: Concept
    start: int
    end: int


def hits(text: str, lang: Lang) -> list[Hit]:
    """Every concept that `text` (lower case) names, by place; the longest word counts."""
    pattern, concepts = _matcher(lang)
    if lang == "zh":
        text = _OTHERWISE.sub(lambda m: "＿" * len(m[0]), text)
    found = [Hit(concepts[_spelt(m[0])], *m.span()) for m in pattern.finditer(text)]
    return found + (_compared(text) if lang == "zh" else [])


@cache
def points() -> Mapping[str, KeyPoint]:
    """The key point of each family."""
    return {family: point for family, point, _, _ in _rows()}


def _rows() -> list[tuple[str, KeyPoint, str, str]]:
    rows, family, point = [], "", ""
    for line in _TABLE.read_text("utf-8").splitlines():
        if line.startswith(" "):
            en, _, zh = line.partition(" /")
            rows.append((family, point, en.strip(), zh.strip()))
        else:
            family, _, point = line.partition(": ")
    return rows  # type: ignore[return-value]


@cache
def _matcher(lang: Lang) -> tuple[re.Pattern[str], dict[str, Concept]]:
    concepts: dict[str, Concept] = {}
    for family, _, en, zh in _rows():
        name = en.split()[0].replace("+", " ")
        for word in (en if lang == "en" else zh).split():
            for form in (word, _third(word)) if lang == "en" and family in _VERBS else (word,):
                concepts.setdefault(form.replace("+", " "), Concept(family, name))
    spelt = sorted(map(re.escape, concepts), key=len, reverse=True)
    whole = "|".join(word.replace(r"\ ", r"\s+") for word in spelt)
    return re.compile(rf"\b(?:{whole})\b(?!')" if lang == "en" else whole), concepts


def _third(word: str) -> str:
    """look+at -> looks+at, cry -> cries."""
    first, plus, rest = word.partition("+")
    return with_s(first) + plus + rest


def _spelt(word: str) -> str:
    return " ".join(word.split())


def _compared(text: str) -> list[Hit]:
    """比...大: the two halves stand apart in Chinese."""
    return [Hit(Concept("comparison", COMPARED[m[1]]), *m.span()) for m in _COMPARING.finditer(text)]
