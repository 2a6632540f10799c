"""`refusal` and `length`: whether a text is a caption at all, and as long as its level asks."""

import regex

from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import count
from thresher.operators.captions.record import Text
from thresher.operators.captions.taxonomy import LENGTHS
from thresher.operators.models.chat.refusals import refused, refused_by_name

SHORTEST = 3
"""Words; less is no caption (images.md 6.3), unless the level allows it."""
_PREAMBLE = regex.compile(
    r"(?i)^[\s\"'“*#>-]*(?:(?:sure|certainly|of course|absolutely|gladly)[,!.]"
    r"|(?:here(?:['’]s| is| are)|this is|below is) (?:an?|the|your|my) [^.:]{0,40}"
    r"\b(?:description|caption|summary|tags)\b[^.:]{0,40}:"
    r"|(?:好的|[当當]然(?:可以)?|[没沒][问問][题題])[,，!！。]"
    r"|以下[是为為][^。，:：]{0,30}(?:描述|[说說]明|[标標][题題签籤])[^。，:：]{0,6}[:：])"
)
"""How answers begin that are no captions either."""


def refusal(text: Text) -> Finding:
    """Whether it begins as a refusal or an answer to somebody, or is shorter than 3 words (1: yes).
    What people wrote fails only if it names what it refuses."""
    fewest = {"raw": 0, "tags": 1}.get(text.level, SHORTEST)  # tags are counted in items
    least = min(fewest, LENGTHS[text.level][text.lang].least) if text.level in LENGTHS else fewest
    if count(text.text, text.lang, text.level) < least:
        return Finding("refusal", False, 1.0, f"the text is empty or shorter than {least} words")
    if text.level == "raw" or text.split == "fused":
        said = refused_by_name(text.text)
    else:
        preamble = _PREAMBLE.match(text.text)
        said = preamble[0].strip() if preamble else refused(text.text)
    if said:
        return Finding("refusal", False, 1.0, f"{said!r} is no caption; describe the picture", True, (0,))
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
