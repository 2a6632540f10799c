"""`language`: whether a text is in the script of its slot's language, its quotes aside."""

import regex

from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import HAN, unquoted
from thresher.operators.captions.record import Text

LEAST = {"zh": 0.5, "en": 0.95}
"""Of the letters outside quotes, Han in Chinese; in English at most 0.05 may be Han (images.md 6.3). We count
whatever is not Latin there, so that no other script passes either; French in the English slot does."""
NAMES = 2.0
"""Most letters of capitalised words, such as IKEA, to a Han character that Chinese leaves aside. Ours."""
_NAME = regex.compile(r"(?<!\p{Latin})\p{Lu}\p{Latin}*")
_BESIDE = regex.compile(r"[(（][^()（）\p{Latin}]{1,12}[)）]")
"""What stands in brackets in another script, as in `ramen (ラーメン)`: a name, left aside in English."""
_LATIN = regex.compile(r"\p{Latin}")
_LETTER = regex.compile(r"\p{L}")


def language(text: Text) -> Finding:
    """Share of the letters outside quotes in the script of the slot's language, foreign names aside."""
    plain = unquoted(text.text)
    if not _LETTER.search(plain):
        return Finding("language", True)
    plain = _BESIDE.sub(" ", plain) if text.lang == "en" else plain
    letters = len(_LETTER.findall(plain))
    own = len((HAN if text.lang == "zh" else _LATIN).findall(plain))
    if text.lang == "zh":
        letters -= min(sum(map(len, _NAME.findall(plain))), int(NAMES * own))
    share = own / max(letters, 1)
    ok = share >= LEAST[text.lang]
    name = {"en": "English", "zh": "Chinese"}[text.lang]
    told = f"{1 - share:.0%} of the letters outside quotes are not {name}; write {name}"
    return Finding("language", ok, share, "" if ok else told)
