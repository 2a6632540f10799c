"""`language`: whether a text is in the language of its slot, its quotes aside."""

import regex

from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import HAN, unquoted
from thresher.operators.captions.record import Text

LEAST = {"zh": 0.5, "en": 0.95}
"""Of the letters outside quotes, Han in Chinese; in English at most 0.05 may be Han (images.md 6.3). We count
whatever is not Latin there, so that no other language passes either."""
_LATIN = regex.compile(r"\p{Latin}")
_LETTER = regex.compile(r"\p{L}")


def language(text: Text) -> Finding:
    """Share of the letters outside quotes in the script of the slot's language."""
    plain = unquoted(text.text)
    letters = len(_LETTER.findall(plain))
    if not letters:
        return Finding("language", True)
    share = len((HAN if text.lang == "zh" else _LATIN).findall(plain)) / letters
    ok = share >= LEAST[text.lang]
    name = {"en": "English", "zh": "Chinese"}[text.lang]
    told = f"{1 - share:.0%} of the letters outside quotes are not {name}; write {name}"
    return Finding("language", ok, share, "" if ok else told)
