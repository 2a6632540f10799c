"""`refusal` and `length`: whether a text is a caption at all, and as long as its level asks."""

import regex

from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import count
from thresher.operators.captions.record import Text
from thresher.operators.captions.taxonomy import LENGTHS
from thresher.operators.models.chat.refusals import REFUSAL

SHORTEST = 3
"""Words; less is no caption (images.md 6.3), unless the level allows it."""
_OBLIGING = regex.compile(r"(?i)^[\s\"'“*#>-]*(?:sure|certainly|of course)[,!.]")
"""How answers begin that are no captions either."""


def refusal(text: Text) -> Finding:
    """Whether it begins as a refusal, or is shorter than 3 words (1: yes)."""
    fewest = {"raw": 0, "tags": 1}.get(text.level, SHORTEST)  # tags are counted in items
    least = min(fewest, LENGTHS[text.level][text.lang].least) if text.level in LENGTHS else fewest
    if count(text.text, text.lang, text.level) < least:
        return Finding("refusal", False, 1.0, f"the text is empty or shorter than {least} words")
    match = REFUSAL.match(text.text) or _OBLIGING.match(text.text)
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
