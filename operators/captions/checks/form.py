"""`refusal` and `length`: whether a text is a caption at all, and as long as its level asks."""

import regex

from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import count
from thresher.operators.captions.record import Text
from thresher.operators.captions.taxonomy import LENGTHS

SHORTEST = 3
"""Words; less is no caption (images.md 6.3), unless the level allows it."""
_REFUSAL = regex.compile(
    r"(?i)^[\s\"'“*#>-]*(?:"
    r"(?:i['’]?m |i am |we['’]?re |so )?(?:very |really |truly )?sorry\b(?! (?:\w+ )?(?:looking|sight|state))"
    r"|(?:i |we )?apologi[sz]e\b|my apologies\b|unfortunately,? (?:i|we|it is not possible)\b"
    r"|as an? (?:ai|artificial intelligence|language model|large language|virtual assistant)\b"
    r"|(?:i|we) (?:can['’]?t|cannot|can not|am unable|are unable|am not able|won['’]?t|do not|don['’]?t"
    r"|could not|couldn['’]?t|must decline|have to decline)\b"
    r"|(?:there is |there's )?no image (?:was |is |has been )?(?:provided|attached|visible|to describe)"
    r"|please (?:provide|upload|attach|share)\b|(?:sure|certainly|of course)[,!.]"
    r"|(?:非常|很|十分|真的)?(?:抱歉|对不起)|不好意思|(?:我|本模型|作为.{0,6})?(?:无法|不能|没办法|没法)"
    r"(?:为您|为你|帮您|帮你|提供|描述|识别|查看|看到|回答|协助|满足|处理|生成|直接|继续|辨认|确定)"
    r"|作为(?:一个|一名|一款)?(?:人工智能|ai|语言模型|大模型|虚拟助手)|请(?:提供|上传)|很遗憾"
    r")"
)


def refusal(text: Text) -> Finding:
    """Whether it begins as a refusal, or is shorter than 3 words (1: yes)."""
    fewest = {"raw": 0, "tags": 1}.get(text.level, SHORTEST)  # tags are counted in items
    least = min(fewest, LENGTHS[text.level][text.lang].least) if text.level in LENGTHS else fewest
    if count(text.text, text.lang, text.level) < least:
        return Finding("refusal", False, 1.0, f"the text is empty or shorter than {least} words")
    match = _REFUSAL.match(text.text)
    if match:
        return Finding(
            "refusal", False, 1.0, f"{match[0].strip()!r} refuses; describe the picture", True, (0,)
        )
    return Finding("refusal", True, 0.0)


def length(text: Text) -> Finding:
    """How many times longer (> 1) or shorter (< 1) it is than its level allows; 1 inside the bounds."""
    if text.level not in LENGTHS:
        return Finding("length", True)
    least, most = LENGTHS[text.level][text.lang]
    size = count(text.text, text.lang, text.level)
    unit = "items" if text.level == "tags" else {"en": "words", "zh": "Han characters"}[text.lang]
    value = size / least if size < least else max(1.0, size / most)
    told = f"{size} {unit}; a {text.level} text has {least} to {most}"
    return Finding("length", value == 1, value, "" if value == 1 else told)
