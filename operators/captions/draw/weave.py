"""Claims become running text: whole sentences, some joined two by two; phrases as a list."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from thresher.operators.captions.draw.dice import Dice
from thresher.operators.captions.taxonomy import Lang

JOINED = 0.4
"""Chance that two neighbours become one sentence."""
LONGEST = {"en": 90, "zh": 24}
"""Characters of a sentence that is still joined to another."""
MOST_LISTED = 3
"""Phrases in one list."""
PHRASE = 4
"""Words, at most, of an English text in small letters that counts as a phrase."""
_JOINTS = {"en": {", and ": 2.0, "; ": 1.0}, "zh": {"，": 2.0, "；": 1.0}}
_STOPS = {"en": ".!?", "zh": "。！？.!?"}
_QUOTES = "\"'”’」』》)）"
_LOWERED = re.compile(
    r"(A|An|The|There|This|These|That|Those|It|Its|They|Their|He|She|His|Her|In|On|At|Behind|Beside|Under|Above"
    r"|Below|Near|To|One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten|Some|Several|Many|No|Both|Each)\b(?!')"
)
"""First words that are no names: only before them is a capital given up."""
MOST_ADDED = 1
"""Words, at most, that a claim gains when it is joined to others."""


class Clause(NamedTuple):
    """A claim's text without its full stop."""

    text: str
    whole: bool
    """Whether it is a sentence rather than a phrase."""


def weave(texts: Sequence[str], lang: Lang, dice: Dice) -> str:
    """One text of all `texts`, in their order; every word of them is there, and at most one more for each."""
    clauses = [_clause(text, lang) for text in texts]
    sentences, at = [], 0
    while at < len(clauses):
        taken = _together(clauses[at:], lang, dice)
        sentences.append(_sentence(clauses[at : at + taken], lang, dice))
        at += taken
    return (" " if lang == "en" else "").join(sentences)


def _clause(text: str, lang: Lang) -> Clause:
    text = " ".join(text.split())
    stop = text.rstrip(_QUOTES)[-1:] in _STOPS[lang]
    phrase = not stop
    if lang == "en":
        phrase = not stop and text[:1].islower() and text.count(" ") < PHRASE
    bare = text.rstrip(".。") if not text.endswith("...") else text
    return Clause(bare or text, not phrase)


def _together(clauses: Sequence[Clause], lang: Lang, dice: Dice) -> int:
    """How many of the next clauses make one sentence."""
    if not clauses[0].whole:
        listed = next((i for i, clause in enumerate(clauses) if clause.whole), len(clauses))
        return min(listed, 1 + int(dice.uniform() * MOST_LISTED))
    return 2 if dice.uniform() < JOINED and len(clauses) > 1 and _fit(clauses[0], clauses[1], lang) else 1


def _fit(first: Clause, second: Clause, lang: Lang) -> bool:
    """Whether two clauses can be one sentence."""
    if not second.whole or any(len(c.text) > LONGEST[lang] for c in (first, second)):
        return False
    if any(stop in c.text for c in (first, second) for stop in (*_STOPS[lang], ";", "；")):
        return False
    return lang == "zh" or second.text[0].islower() or bool(_LOWERED.match(second.text))


def _sentence(clauses: Sequence[Clause], lang: Lang, dice: Dice) -> str:
    texts = [clause.text for clause in clauses]
    if len(texts) == 1:
        said = texts[0]
    elif not clauses[0].whole:
        said = "，".join(texts) if lang == "zh" else f"{', '.join(texts[:-1])} and {texts[-1]}"
    else:
        second = texts[1] if lang == "zh" else texts[1][0].lower() + texts[1][1:]
        said = texts[0] + dice.choose(_JOINTS[lang]) + second
    said = said[0].upper() + said[1:]
    stopped = said.rstrip(_QUOTES)[-1:] in _STOPS[lang]
    return said if stopped else said + {"en": ".", "zh": "。"}[lang]
