"""Numbers in English and Chinese, told apart by how sure it is that they count something.

`sure`: a number that counts things, such as `three boats` or `三艘船`. `possible`: whatever may be read as a
number, such as `a pair`, `third`, `双` or `四周`. What one language surely counts must be possible in the
other: so idioms, ordinals, decades and articles raise no alarm. One is never sure: `a`, `one`, `一` and
`一个` do the work of articles. `retold`: what a text told anew must keep; between the two, as `a pair` says
how many there are, and so does `only one`.
"""

import unicodedata

import regex

from thresher.operators.captions.language.traditional import simplified
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
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_LOOSE = {
    "pair": 2, "pairs": 2, "couple": 2, "both": 2, "either": 2, "twin": 2, "twins": 2, "double": 2,
    "duo": 2, "twice": 2, "second": 2, "two-tone": 2, "trio": 3, "triple": 3, "triplets": 3, "third": 3,
    "thirds": 3, "quarter": 4, "quarters": 4, "quartet": 4, "fifth": 5, "eighth": 8, "ninth": 9,
    "twelfth": 12, "dozen": 12, "dozens": 12, "twentieth": 20, "january": 1, "february": 2, "march": 3,
    "april": 4, "may": 5, "june": 6, "july": 7, "august": 8, "september": 9, "october": 10, "november": 11,
    "december": 12, "half": 50, "neither": 2, "biplane": 2, "bicycle": 2, "tricycle": 3, "triangle": 3,
    "tripod": 3, "quad": 4, "square": 4, "pentagon": 5, "pentagonal": 5, "hexagon": 6, "hexagonal": 6,
    "octagonal": 8, "octagon": 8, "foursome": 4, "quintet": 5, "quintuplets": 5, "sextet": 6, "septet": 7,
    "octet": 8, "score": 20,
}  # fmt: skip
_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(list(_UNITS)[1:10])}))?|{'|'.join(reversed(_UNITS))})"
_SCALE = rf"(?:{'|'.join(_SCALES)})\b"
_EN = regex.compile(
    rf"(?i)\b(?:{_SMALL}|(?:half )?an?(?=[ -]{_SCALE}))\b(?:[ -]{_SCALE}(?:(?:,| and|-and)?[ -]{_SMALL}\b)?)*"
)
_ARTICLE = regex.compile(r"(?i)half|an?\b")
_PAIRS = regex.compile(r"^ (?:pairs?|couples?)\b|^[双对](?!\p{Han}{0,2}[手眼脚腿臂翅耳角])")
_EN_SURE = regex.compile(r"^ \p{Ll}")
_BESIDE_HYPHEN = regex.compile(r"[-–‑]")
_PRONOUN = regex.compile(r"(?i)^ (?:of|or|by|to|and|at|in|on|are|is|were|was|have|has|who|that|which)\b")
_DIGITS = regex.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?")
_SCALED = regex.compile(r"^ ?(dozen|hundred|thousand|million|billion|十|百|千|万|亿)")
_GLUED = regex.compile(r"[\p{Latin}\d:/#.'\"×_-]")
_DECADE = regex.compile(r"^(?:s\b|世纪|年代|st\b|nd\b|rd\b|th\b|折| ?% (?:off|discount)\b)")
_HAN = dict(zip("〇零一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_HAN_SCALE = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "亿": 100_000_000}
_SCALES |= _HAN_SCALE
_WORDS: dict[str, int] = _LOOSE | _UNITS | _TENS | _SCALES
_ZH = regex.compile(r"[〇零一二两三四五六七八九十百千万亿]+")
_ZH_LOOSE = {"双": 2, "对": 2, "俩": 2, "仨": 3, "半": 50, "廿": 20, "打": 12} | dict(
    zip("壹贰叁肆伍陆柒捌玖拾佰仟", (*range(1, 11), 100, 1_000), strict=True)
)
MEASURES = (
    "个只艘条辆座位名朵棵株把件匹架台栋幢间扇块根支枝杯瓶盘碗碟盏幅颗粒排列张艇盆篮筐箱袋罐壶桶尊顶双层级行串束枚"
    "口尾丛封本家道首页滴片床挺顿份段句圈堆捆叠摞团簇缕套盒包筒勺锅缸款副元种头群面对节部股队"
)
"""Signs before what a number counts; `_UNSURE` of them mean other things too (两种颜色, 四面是墙, 两头)."""
_UNSURE = "种头群面对节部股队"
_CLASSIFIER = regex.compile(
    rf"^(?:(?![{_UNSURE}])[{MEASURES}]|头(?=\p{{Han}}{{0,2}}[牛猪象驴狮鲸羊鹿熊])|群(?=[人鸟羊])|面(?=\p{{Han}}{{0,2}}[旗镜鼓锣])"
    r"|人(?!行|称|世)|岁|米|厘米|毫米|公里|小时|分钟)"
)
_MEASURED = regex.compile(rf"^[{MEASURES}打岁人]")
_IDIOM = regex.compile(
    r"三三两两|三五成群|五颜六色|五彩|五光十色|七彩|四面八方|四通八达|千家万户|万家灯火|乱七八糟|七上八下|横七竖八"
    r"|丢三落四|接二连三|(?:一两|一二|二三|两三|三四|三五|四五|五六|六七|七八|八九)[十百千万亿]*|[数几上][十百千万亿]+"
    r"|十几|成百上千|成千上万|千军万马|百花|万里|千里|第[〇零一二两三四五六七八九十百千万亿\d]+"
    r"|[〇零一二两三四五六七八九十百千万亿\d]+分之[〇零一二两三四五六七八九十百千万亿\d]+"
)
_RETOLD = {
    "en": regex.compile(
        r"\b(?:(?<!(?:n't|not|without) a |no )single|lone|(?:only|exactly|just) one|pair|couple|trio|quartet"
        r"|quintet|(?<!\d )dozen)\b"
    ),
    "zh": regex.compile(r"(?:唯一|仅有一|只有一)(?![十百千万])"),
}


def en_number(count: int) -> str:
    """A count in words up to ten, then in digits."""
    return list(_UNITS)[count] if count <= 10 else str(count)


def zh_number(count: int) -> str:
    """The same before a measure word."""
    return "零一两三四五六七八九十"[count] if count <= 10 else str(count)


def sure(text: str, lang: Lang) -> frozenset[float]:
    """Numbers from 2 on, outside quotes, that surely count or measure something."""
    plain = _read(unquoted(text))
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
    plain = _read(text)
    found = {float(value) for _, _, value in _digits(plain)}
    found |= {float(match) for match in regex.findall(r"[0-9]+", plain) if len(match) < 16}
    found |= {value for _, b, value in _english(plain) for value in (value, _paired(plain, b, value))}
    lowered = [word.casefold() for word in regex.findall(r"[\p{Latin}-]+", plain)]
    for word in (part for held in lowered for part in (held, *held.split("-"))):
        value = _WORDS.get(word, _UNITS.get(word.removesuffix("th")))
        found |= {float(value)} if value is not None else set()
    for match in _ZH.finditer(plain):
        whole = _chinese(match[0])
        if whole is not None:
            found |= {whole, _paired(plain, match.end(), whole)}
        found |= {float(_HAN[c]) for c in match[0] if c in _HAN}
        found |= {float(_HAN_SCALE[c]) for c in match[0] if c in _HAN_SCALE}
    found |= {float(value) for c, value in _ZH_LOOSE.items() if c in plain}
    return frozenset(found)


def retold(text: str, lang: Lang) -> list[tuple[int, int, str]]:
    """Place and digits of the numbers that a lower-case text must keep when it is told anew; clock times and
    parts of codes are among them. A dozen is 12, and two pairs are 4."""
    plain = _read(text)
    if lang == "en":
        held = _english(plain)
    else:
        bare = _IDIOM.sub(lambda match: " " * len(match[0]), plain)
        numerals = [(m.start(), m.end(), _chinese(m[0])) for m in _ZH.finditer(bare)]
        held = [(a, b, v) for a, b, v in numerals if v is not None and _MEASURED.match(bare[b:])]
    found = [(a, b, _paired(plain, b, value)) for a, b, value in held + _digits(plain)]
    counted = [(a, b, value) for a, b, value in found if value != 1 or plain[a:b].isdigit()]
    for match in _RETOLD[lang].finditer(plain):
        if not any(a < match.end() and match.start() < b for a, b, _ in counted):
            counted.append((*match.span(), float(_LOOSE.get(match[0], 1))))
    return [(a, b, f"{value:.10g}") for a, b, value in counted]


def _read(text: str) -> str:
    """The text as it is read for numbers."""
    return simplified(unicodedata.normalize("NFKC", text))


def _paired(text: str, end: int, value: float) -> float:
    """What a number that ends there counts: two pairs are 4, 三打 are 36."""
    if text[end : end + 1] == "打":
        return value * 12
    return value * 2 if _PAIRS.match(text[end:]) else value


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
        half, words = match[0].startswith(("half", "Half")), regex.split(r"[ ,-]+", match[0].casefold())
        for word in words:
            if word in _SCALES:
                part = max(part, 1) * _SCALES[word]
                total, part = (total + part, 0) if word != "hundred" else (total, part)
            else:
                part += _UNITS.get(word, _TENS.get(word, 0))
        found.append((match.start(), match.end(), (total + part) / (2 if half else 1)))
    return found


def _counts(text: str, start: int, end: int) -> bool:
    """Whether a number word stands before what it counts, and not in a compound, a name or a phrase."""
    before, after = text[max(0, start - 1) : start], text[end:]
    compound = bool(_BESIDE_HYPHEN.match(before) or _BESIDE_HYPHEN.match(after))
    article = bool(regex.search(r"(?i)\b(?:the other|one or|or|point)\s+$", text[max(0, start - 12) : start]))
    article = article or bool(_ARTICLE.match(text, start, end))
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
