"""Names of colours in English and Chinese, and which basic colours the words of a text mean.

`sure`: the basic colour that a word can only mean, such as `red boat` or `红色`. `possible`: every one that a
word or character may mean, such as gold and yellow by `golden` or `金`. The colours of `lexicon` are a third
list on purpose: each of them excludes the others, so it has no word that may mean two.
"""

import regex

from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.language.words import word_set
from thresher.operators.captions.taxonomy import Lang

_NAMED = {
    "black": "黑", "grey": "灰", "white": "白", "red": "红", "orange": "橙", "yellow": "黄", "green": "绿",
    "blue": "蓝", "purple": "紫", "pink": "粉", "brown": "棕", "olive": "橄榄", "yellow-green": "黄绿",
}  # fmt: skip
NAMES = tuple(_NAMED)
"""Of level 1 of the ISCC-NBS system."""
_EN = {
    "red": "red", "crimson": "red", "scarlet": "red", "maroon": "red", "burgundy": "red",
    "vermilion": "red", "blue": "blue", "navy": "blue", "azure": "blue", "cobalt": "blue",
    "indigo": "blue purple", "green": "green", "olive": "olive green", "emerald": "green", "yellow": "yellow",
    "black": "black", "white": "white", "ivory": "white beige", "gray": "grey", "grey": "grey",
    "charcoal": "grey black", "silver": "silver grey", "gold": "gold yellow", "golden": "gold yellow",
    "purple": "purple", "violet": "purple", "lavender": "purple", "magenta": "purple pink",
    "brown": "brown", "tan": "brown beige", "orange": "orange", "amber": "orange yellow", "pink": "pink",
    "beige": "beige", "cream": "beige white", "khaki": "beige green", "cyan": "cyan blue green",
    "teal": "cyan blue green", "turquoise": "cyan blue green", "reddish": "red", "bluish": "blue",
    "greenish": "green", "yellowish": "yellow", "brownish": "brown", "blonde": "yellow gold",
    "blond": "yellow gold", "rose": "pink red", "lilac": "purple", "bronze": "brown gold",
}  # fmt: skip
_SURE_EN = word_set(
    """
    red blue green yellow black white gray grey purple brown pink beige turquoise crimson scarlet maroon
    navy teal magenta cyan
    """
)
_ZH = {
    "红": "red", "赤": "red", "朱": "red", "绯": "red", "蓝": "blue", "绿": "green", "翠": "green",
    "黄": "yellow", "黑": "black", "白": "white", "灰": "grey", "银": "silver grey", "金": "gold yellow",
    "紫": "purple", "棕": "brown", "褐": "brown", "咖": "brown", "橙": "orange", "橘": "orange",
    "粉": "pink", "米": "beige", "青": "cyan blue green", "靛": "blue purple", "乌": "black", "墨": "black",
    "驼": "beige brown",
}  # fmt: skip
_SURE_ZH = regex.compile(r"([红蓝绿黄黑白灰紫棕褐粉])(?:颜)?色")
_WORD = regex.compile(r"\p{Latin}+")
_BLACK_AND_WHITE = regex.compile(r"(?i)black[- ]and[- ]white|黑白")


def word(name: str, lang: Lang) -> str:
    """The colour `name` in a language. Raises KeyError."""
    return f"{_NAMED[name]}色" if lang == "zh" else name


def sure(text: str) -> frozenset[str]:
    """Basic colours that the text surely speaks of, such as `red boat` or `红色`, in either language."""
    said = [word.casefold() for word in _WORD.findall(_BLACK_AND_WHITE.sub(" ", text))]
    found = {_EN[word] for word in said if word in _SURE_EN}
    found |= {_ZH[match[1]] for match in _SURE_ZH.finditer(simplified(text))}
    return frozenset(colour.split()[0] for colour in found)


def possible(text: str) -> frozenset[str]:
    """Basic colours that any word or character of the text may mean."""
    said = [word.casefold() for word in _WORD.findall(text)]
    found = {colour for word in said for colour in _EN.get(word, "").split()}
    return frozenset(found | {colour for c in simplified(text) for colour in _ZH.get(c, "").split()})
