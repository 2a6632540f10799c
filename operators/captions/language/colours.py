"""Names of colours in English and Chinese, and which basic colours the words of a text mean.

`sure`: words that surely speak of a colour, such as `teal boat`, `红色` or `红船`, with the basic colours
that they may mean. `possible`: every one that any word or character may mean, such as gold and yellow by
`golden` or `金`, orange by the fruit. The colours of `lexicon` are a third list on purpose: each of them
excludes the others, so it has no word that may mean two.
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
    "blond": "yellow gold", "fair": "yellow gold", "brass": "gold yellow", "gilt": "gold yellow",
    "gilded": "gold yellow", "copper": "orange brown gold", "ginger": "orange red", "oranges": "orange",
    "tangerine": "orange", "tangerines": "orange", "rose": "pink red", "lilac": "purple",
    "bronze": "brown gold",
}  # fmt: skip
_SURE_EN = word_set(
    """
    red blue green yellow black white gray grey purple brown pink beige turquoise crimson scarlet maroon
    navy teal magenta cyan orange gold blonde blond
    """
)
_ZH = {
    "红": "red", "赤": "red", "朱": "red", "绯": "red", "蓝": "blue", "绿": "green", "翠": "green",
    "黄": "yellow", "黑": "black", "白": "white", "灰": "grey", "银": "silver grey", "金": "gold yellow",
    "紫": "purple", "棕": "brown", "褐": "brown", "咖": "brown", "橙": "orange", "橘": "orange",
    "粉": "pink", "米": "beige", "青": "cyan blue green", "靛": "blue purple", "乌": "black", "墨": "black",
    "驼": "beige brown", "紅": "red", "藍": "blue", "綠": "green", "黃": "yellow", "銀": "silver grey",
}  # fmt: skip
_RUN = rf"(?<![口空明蛋石])[{''.join(_ZH)}]{{0,2}}"
"""Before a colour's last sign: 粉红 may be called pink or red. Not 口红 and 空白."""
_THINGS = (
    "船|艇|帆|衣(?!主教)|衫|衬衫|上衣|外套|大衣|毛衣|西装|背心|裙|裤|褲|袍|鞋|靴|袜|帽|伞|傘|围巾|头巾|手套|背包|书包"
    "|车(?!厘)|車|墙|牆|瓦|门|門|窗|旗|灯|燈|布|字|底|线|線|球|气球|杯|碗|盘|盤|瓶|壶|盒|箱|桶|椅|桌|沙发|毯|框|圈"
    "|花(?![油菜鱼])"
)
"""Nouns of which a sign of colour just before them says how they look; 红酒 and 黄昏 are none."""
_SURE_ZH = regex.compile(
    rf"{_RUN}(?:[红蓝绿黄黑白灰紫棕褐粉橙金紅藍綠黃](?:颜|顏)?色"
    rf"|[红蓝绿黄黑白灰紫棕橙紅藍綠黃](?={_THINGS})|粉(?=衣|裙|裤|鞋|帽)"
    r"|[金黑白红紅棕灰](?=髮|发(?![光亮现生出布射]))|[黑白灰](?=猫|貓|狗|马|馬|鸟|鳥|鸭|鹅|兔|毛)|[红黄紅黃](?=叶|葉))"
)
_WORD = regex.compile(r"\p{Latin}+")
_NO_COLOUR = regex.compile(r"(?i)black[- ]and[- ]white|黑白|红绿灯|紅綠燈")


def word(name: str, lang: Lang) -> str:
    """The colour `name` in a language. Raises KeyError."""
    return f"{_NAMED[name]}色" if lang == "zh" else name


def sure(text: str) -> dict[str, frozenset[str]]:
    """Words of the text that surely speak of a colour, such as `red boat` or `红色`, in either language ->
    the basic colours that each may mean."""
    text = _NO_COLOUR.sub(" ", simplified(text))
    said = [word for word in map(str.casefold, _WORD.findall(text)) if word in _SURE_EN]
    return {word: possible(word) for word in (*said, *(match[0] for match in _SURE_ZH.finditer(text)))}


def unsaid(text: str, held: frozenset[str]) -> list[str]:
    """Words of the text that surely speak of a colour, but of none of those held."""
    return sorted(word for word, means in sure(text).items() if not means & held)


def possible(text: str) -> frozenset[str]:
    """Basic colours that any word or character of the text may mean."""
    said = [word.casefold() for word in _WORD.findall(text)]
    found = {colour for word in said for colour in _EN.get(word, "").split()}
    return frozenset(found | {colour for c in simplified(text) for colour in _ZH.get(c, "").split()})
