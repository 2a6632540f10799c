"""`pii`: e-mail addresses, telephone and identity numbers in a text, by their form."""

import regex

from thresher.operators.captions.finding import Finding
from thresher.operators.captions.record import Text
from thresher.operators.captions.taxonomy import Lang

PATTERNS = {
    "mail": regex.compile(r"(?i)\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\b"),
    "id": regex.compile(
        r"(?<![\dA-Za-z])(?:[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx]"
        r"|\d{3}-\d{2}-\d{4}|(?:\d{4}[ -]){3}\d{4}|[A-Z]{2}\d{2}(?: ?[\dA-Z]{4}){3,7})(?![\dA-Za-z])"
    ),
    "phone": regex.compile(
        r"(?<![\d.,])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}"
        r"|\(?(?!1)\d{3}\)?[ .-]\d{3}[ .-]\d{4}|1[3-9]\d[ -]?\d{4}[ -]?\d{4}|\(?0\d{2,3}\)?[ -]\d{7,8}"
        r"|[48]00[ -]\d{3}[ -]\d{4})(?![\d.,]\d|\d)"
    ),
}
"""Mail; identity card (China), social security number, payment card, IBAN; telephone (international, North
America, China). Ours: bare runs of digits are left alone."""
MASKS: dict[Lang, dict[str, str]] = {
    "en": {"mail": "[e-mail]", "id": "[id number]", "phone": "[phone]"},
    "zh": {"mail": "[邮箱]", "id": "[证件号]", "phone": "[电话]"},
}
ANY_MASK = regex.compile("|".join(regex.escape(mask) for masks in MASKS.values() for mask in masks.values()))

_QUOTED_MASK = regex.compile(rf"[\"'“‘«「『]\s*({ANY_MASK.pattern})\s*[.。]?[\"'”’»」』]")


def pii(text: Text) -> Finding:
    """How many there are or were masked. Flagged only: `judged` masks them."""
    held = [match[0] for match in ANY_MASK.finditer(masked(text.text, "en"))]
    told = f"it holds {', '.join(sorted(set(held)))}; leave them out" if held else ""
    return Finding("pii", not held, float(len(held)), told, hard=False)


def masked(text: str, lang: Lang) -> str:
    """The text with each of them replaced by its kind in brackets; one that is all of a quote with its marks,
    since the mask is not what is written in the picture."""
    for kind, pattern in PATTERNS.items():
        text = pattern.sub(MASKS[lang][kind], text)
    return _QUOTED_MASK.sub(r"\1", text)


def personal(text: str) -> bool:
    """Whether it holds one of them."""
    return any(pattern.search(text) for pattern in PATTERNS.values())
