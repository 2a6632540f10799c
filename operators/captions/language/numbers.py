"""Numbers in English and Chinese, told apart by how sure it is that they count something.

`sure`: a number that counts things, such as `three boats` or `三艘船`. `possible`: whatever may be read as a
number, such as `a pair`, `third`, `双` or `四周`. What one language surely counts must be possible in the
other: so idioms, ordinals, decades and articles raise no alarm. One is never sure: `a`, `one`, `一` and
`一个` do the work of articles. `retold`: what a text told anew must keep; between the two, as `a pair` says
how many there are, and so does `only one`.
"""

import unicodedata

import regex

from thresher.operators.captions.language.words import unquoted
from thresher.operators.captions.taxonomy import Lang

_UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_LOOSE = {
    "pair": 2, "pairs": 2, "couple": 2, "both": 2, "either": 2, "twin": 2, "twins": 2, "double": 2,
    "duo": 2, "twice": 2, "second": 2, "two-tone": 2, "trio": 3, "triple": 3, "triplets": 3, "third": 3,
    "thirds": 3, "quarter": 4, "quarters": 4, "quartet": 4, "fifth": 5, "eighth": 8, "ninth": 9,
    "twelfth": 12, "dozen": 12, "dozens": 12, "twentieth": 20, "january": 1, "february": 2, "march": 3,
    "april": 4, "may": 5, "june": 6, "july": 7, "august": 8, "september": 9, "october": 10, "november": 11,
    "december": 12, "half": 50, "neither": 2, "biplane": 2, "bicycle": 2, "tricycle": 3, "triangle": 3,
    "tripod": 3, "quad": 4, "square": 4, "pentagon": 5, "pentagonal": 5, "hexagon": 6, "hexagonal": 6,
    "octagonal": 8, "octagon": 8,
}  # fmt: skip
_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(list(_UNITS)[1:10])}))?|{'|'.join(reversed(_UNITS))})"
_EN = regex.compile(
    rf"(?i)\b{_SMALL}\b(?:[ -](?:hundred|thousand|million|billion)\b(?:(?:,| and|-and)?[ -]{_SMALL}\b)?)*"
)
_EN_SURE = regex.compile(r"^ \p{Ll}")
_BESIDE_HYPHEN = regex.compile(r"[-–‑]")
_PRONOUN = regex.compile(r"(?i)^ (?:of|or|by|to|and|at|in|on|are|is|were|was|have|has|who|that|which)\b")
_DIGITS = regex.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_SCALED = regex.compile(r"^ ?(hundred|thousand|million|billion|十|百|千|万|亿)")
_GLUED = regex.compile(r"[\p{Latin}\d:/#.'\"×_-]")
_DECADE = regex.compile(r"^(?:s\b|世纪|年代|st\b|nd\b|rd\b|th\b)")
_HAN = dict(zip("〇零一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_HAN_SCALE = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "亿": 100_000_000}
_SCALES |= _HAN_SCALE
_WORDS: dict[str, int] = _LOOSE | _UNITS | _TENS | _SCALES
_ZH = regex.compile(r"[〇零一二两三四五六七八九十百千万亿]+")
_ZH_LOOSE = {"双": 2, "对": 2, "俩": 2, "仨": 3, "半": 50, "廿": 20, "打": 12}
_CLASSIFIER = regex.compile(
    r"^(?:只|艘|条|辆|座|位|名|朵|棵|株|把|件|匹|架|台|栋|幢|间|扇|块|根|支|枝|杯|瓶|盘|碗|盏|幅|颗|粒|排|列|张|个|艇"
    r"|盆|篮|筐|箱|袋|罐|壶|桶|头(?=牛|猪|象|大象|驴|狮|鲸)|匹|尊|顶|双|群(?=人|鸟|羊)|层|级|行|串|束|枚|根|架"
    r"|人(?!行|称|世)|岁|米|厘米|毫米|公里|小时|分钟)"
)
MEASURES = "个只条张把位名座艘辆匹头朵棵本件双对扇盏架枚颗根块片层排行串群杯瓶碗盘幅台家间栋幢支枝"
"""Signs that may be measure words; `_CLASSIFIER` has those that surely are, and units."""
_IDIOM = regex.compile(
    r"三三两两|三五成群|五颜六色|五彩|五光十色|七彩|四面八方|四通八达|千家万户|万家灯火|乱七八糟|七上八下|横七竖八"
    r"|丢三落四|接二连三|一两|一二|二三|两三|三四|三五|四五|五六|六七|七八|八九|[数几]十|十几|[数几]百|[数几]千|[数几]万|成千上万"
    r"|千军万马|百花|万里|千里|第[〇零一二两三四五六七八九十百千万亿\d]+|[〇零一二两三四五六七八九十百千万亿\d]+分之"
    r"[〇零一二两三四五六七八九十百千万亿\d]+"
)
_RETOLD = {
    "en": regex.compile(
        r"\b(?:\d+(?:[.,]\d+)*|single|lone|(?:only|exactly|just) one|pair|couple|trio|dozen)\b"
    ),
    "zh": regex.compile(
        rf"\d+(?:\.\d+)?|唯一|仅有一|只有一|(?<!第)(?:[两二三四五六七八九]?十[一二三四五六七八九]?|[两二三四五六七八九])"
        rf"(?=[{MEASURES}岁人])"
    ),
}


def en_number(count: int) -> str:
    """A count in words up to ten, then in digits."""
    return list(_UNITS)[count] if count <= 10 else str(count)


def zh_number(count: int) -> str:
    """The same before a measure word."""
    return "零一两三四五六七八九十"[count] if count <= 10 else str(count)


def sure(text: str, lang: Lang) -> frozenset[float]:
    """Numbers from 2 on, outside quotes, that surely count or measure something."""
    plain = unicodedata.normalize("NFKC", unquoted(text))
    found = {value for a, b, value in _digits(plain) if not _loose_digits(plain, a, b)}
    if lang == "en":
        found |= {value for a, b, value in _english(plain) if _counts(plain, a, b)}
    else:
        bare = _IDIOM.sub(lambda match: " " * len(match[0]), plain)
        found |= {
            value
            for match in _ZH.finditer(bare)
            if (value := _chinese(match[0])) is not None and _CLASSIFIER.match(bare[match.end() :])
        }
    return frozenset(value for value in found if value >= 2)


def possible(text: str) -> frozenset[float]:
    """Every number that the text, its quotes included, may be read to hold, in either language."""
    plain = unicodedata.normalize("NFKC", text)
    found = {float(value) for _, _, value in _digits(plain)}
    found |= {float(match) for match in regex.findall(r"\d+", plain) if len(match) < 16}
    found |= {value for _, _, value in _english(plain)}
    lowered = [word.casefold() for word in regex.findall(r"[\p{Latin}-]+", plain)]
    for word in (part for held in lowered for part in (held, *held.split("-"))):
        value = _WORDS.get(word, _UNITS.get(word.removesuffix("th")))
        found |= {float(value)} if value is not None else set()
    for match in _ZH.finditer(plain):
        whole = _chinese(match[0])
        found |= {whole} if whole is not None else set()
        found |= {float(_HAN[c]) for c in match[0] if c in _HAN}
        found |= {float(_HAN_SCALE[c]) for c in match[0] if c in _HAN_SCALE}
    found |= {float(value) for c, value in _ZH_LOOSE.items() if c in plain}
    return frozenset(found)


def retold(text: str, lang: Lang) -> list[tuple[int, int, str]]:
    """Place and digits of the numbers that a lower-case text must keep when it is told anew; clock times and
    parts of codes are among them."""
    found = []
    for match in _RETOLD[lang].finditer(text):
        word = match[0]
        value = _LOOSE.get(word, 1) if lang == "en" else _chinese(word.lstrip("唯仅只有")) or 1
        digits = word.replace(",", "") if word[0].isdigit() else f"{value:.0f}"
        found.append((*match.span(), digits))
    if lang == "en":
        found += [(a, b, f"{value:.0f}") for a, b, value in _english(text) if value >= 2]
    return found


def _digits(text: str) -> list[tuple[int, int, float]]:
    """Place and value of numbers in digits."""
    found = []
    for match in _DIGITS.finditer(text):
        scale = _SCALED.match(text[match.end() :])
        digits = match[0].replace(",", "")
        if len(digits) < 16:
            found.append((match.start(), match.end(), float(digits) * (_SCALES[scale[1]] if scale else 1)))
    return found


def _loose_digits(text: str, start: int, end: int) -> bool:
    """Whether it is part of a code, a clock time, a date, a fraction, a decade or an ordinal."""
    before, after = text[max(0, start - 1) : start], text[end:]
    ordinal = before == "第" or after.startswith(("分之", "月", "日", "号", "点", "时", "楼"))
    code = bool(_GLUED.match(before)) or bool(regex.match(r"[\p{Latin}:/×_-]|[.]\d", after))
    return code or ordinal or bool(_DECADE.match(after))


def _english(text: str) -> list[tuple[int, int, float]]:
    """Place and value of numbers in English words, from `two hundred and fifty` to `six`."""
    found = []
    for match in _EN.finditer(text):
        total = part = 0
        for word in regex.split(r"[ ,-]+", match[0].casefold()):
            if word in _SCALES:
                part = max(part, 1) * _SCALES[word]
                total, part = (total + part, 0) if word != "hundred" else (total, part)
            else:
                part += _UNITS.get(word, _TENS.get(word, 0))
        found.append((match.start(), match.end(), float(total + part)))
    return found


def _counts(text: str, start: int, end: int) -> bool:
    """Whether a number word stands before what it counts, and not in a compound, a name or a phrase."""
    before, after = text[max(0, start - 1) : start], text[end:]
    compound = bool(_BESIDE_HYPHEN.match(before) or _BESIDE_HYPHEN.match(after))
    article = bool(regex.search(r"(?i)\b(?:the other|one or|or|point)\s+$", text[max(0, start - 12) : start]))
    return bool(_EN_SURE.match(after)) and not (compound or article or _PRONOUN.match(after))


def _chinese(numeral: str) -> float | None:
    """The value of a Chinese numeral; None where it is a bare `百` or `万`, or none at all."""
    if not any(c in _HAN for c in numeral) and not numeral.startswith("十"):
        return None
    if not any(c in _HAN_SCALE for c in numeral):
        return float("".join(str(_HAN[c]) for c in numeral)) if len(numeral) < 16 else None
    total = section = digit = 0
    for c in numeral:
        if c in _HAN:
            digit = _HAN[c]
        elif _HAN_SCALE[c] < 10_000:
            section, digit = section + max(digit, 1) * _HAN_SCALE[c], 0
        else:
            total, section, digit = (total + section + digit) * _HAN_SCALE[c], 0, 0
    return float(total + section + digit)
