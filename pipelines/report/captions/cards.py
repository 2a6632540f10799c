"""One record's captions for the template. Captions are hostile input: all of it is cut to a length."""

from collections.abc import Sequence
from typing import NamedTuple

from thresher.operators.captions.record import CaptionRecord, Claim, Facts, Text
from thresher.pipelines.captions.verdicts import Looked, Stretch, by_id, looked, stretches
from thresher.pipelines.report.describe import Sample
from thresher.pipelines.report.numbers import number

MOST_CHARACTERS = 6000
"""Of a text; a dense one in English has about as many."""
MOST_SAID = 300
"""Characters of a claim, a fact or a name."""
MOST_CLAIMS, MOST_FACTS = 120, 60


class Mark(NamedTuple):
    """A sentence, coloured by its verdict; `title` names the claims in it."""

    gap: str
    """The blanks before it."""
    text: str
    looked: Looked
    title: str


class TextCard(NamedTuple):
    """A text of one language and level."""

    lang: str
    level: str
    status: str
    fails: list[str]
    words: int
    by: str
    split: str
    marks: list[Mark]
    cut: bool


class ClaimCard(NamedTuple):
    """A claim of the list below the texts."""

    text: str
    looked: Looked
    field: str
    provenance: str
    measured: str
    """p, t and the verifier."""


class Card(NamedTuple):
    """A record."""

    sample: Sample
    texts: list[TextCard]
    claims: list[ClaimCard]
    more_claims: int
    facts: list[tuple[str, str]]
    """Kind, what is known."""
    more_facts: int
    abstained: list[str]

    @property
    def size(self) -> int:
        """About how many characters it takes in the page."""
        marks = sum(len(m.text) + len(m.title) + 120 for t in self.texts for m in t.marks)
        return 4000 + marks + sum(300 + len(c.text) for c in self.claims)


def card(sample: Sample, record: CaptionRecord) -> Card:
    """Everything the page says of one record's captions."""
    known, facts = by_id(record), facts_of(record.facts)
    return Card(
        sample,
        [text_card(text, record) for text in record.texts],
        [_claim(claim) for claim in record.claims[:MOST_CLAIMS]],
        max(0, len(record.claims) - MOST_CLAIMS),
        facts[:MOST_FACTS],
        max(0, len(facts) - MOST_FACTS),
        [cut(_abstained(name, known, record.facts)) for name in record.abstained[:MOST_FACTS]],
    )


def text_card(text: Text, record: CaptionRecord) -> TextCard:
    """A text in its coloured sentences."""
    marks, left = [], MOST_CHARACTERS
    for stretch in stretches(text, record):
        if left > 0:
            held = stretch.text[:left]
            gap = held[: len(held) - len(held.lstrip())]
            marks.append(Mark(gap, held.strip(), stretch.looked, _title(stretch)))
        left -= len(stretch.text)
    by = cut(text.by.model) if text.by else ""
    fails = [cut(name) for name in text.fails[:20]]
    return TextCard(
        text.lang, text.level, text.status, fails, text.words, by, text.split, marks, cut=left < 0
    )


def measured(claim: Claim) -> str:
    """`p 0.88, t 0.9, by VERIFIER`."""
    found = [
        f"{name} {number(value)}" for name, value in (("p", claim.p), ("t", claim.t)) if value is not None
    ]
    return ", ".join([*found, *([f"by {cut(claim.verifier)}"] if claim.verifier else [])])


def said(claim: Claim) -> str:
    """The claim in words: English where there are any."""
    return cut(claim.text.get("en") or next(iter(claim.text.values()), claim.id))


def cut(text: str, most: int = MOST_SAID) -> str:
    """The text, cut to so many characters."""
    return text if len(text) <= most else text[:most] + " …"


def facts_of(facts: Facts) -> list[tuple[str, str]]:
    """What is known of the picture from elsewhere than its captioner."""
    lines = [("text in the picture", _quoted(o.text, o.conf)) for o in facts.ocr]
    if facts.ocr_read and not facts.ocr:
        lines.append(("text in the picture", "none was found"))
    lines += [(e.type, " / ".join(e.name.values()) + _evidence(e.evidence)) for e in facts.entities]
    lines += [(m.kind.replace("_", " "), m.text) for m in facts.meta]
    lines += [("objects", f"{b.count} × {b.label}") for b in facts.objects]
    lines += [(m.column, _value(m.value)) for m in facts.measured]
    lines += [("image type", facts.image_type)] if facts.image_type else []
    lines += [("watermark", w) for w in facts.watermarks]
    return [(cut(kind), cut(text)) for kind, text in lines]


def _value(value: str | float) -> str:
    return str(value) if isinstance(value, str | bool) else number(value)


def _quoted(text: str, confidence: float) -> str:
    return f"“{text}”" + (f", {number(round(confidence, 2))}" if confidence < 1 else "")


def _evidence(names: Sequence[str]) -> str:
    return f" (by {', '.join(names)})" if names else " (no evidence: may not be named)"


def _title(stretch: Stretch) -> str:
    lines = []
    for claim in stretch.claims[:8]:
        rests = f"; rests on {cut(', '.join(claim.provenance))}" if claim.provenance else ""
        figures = f"; {told}" if (told := measured(claim)) else ""
        lines.append(f"{SAID[looked(claim)]}: {said(claim)} [{claim.field}]{rests}{figures}")
    return "\n".join(lines) or SAID["none"]


SAID: dict[Looked, str] = {
    "supported": "supported",
    "refuted": "refuted",
    "unsure": "unsure",
    "unseen": "not looked at",
    "none": "no claim",
}


def _claim(claim: Claim) -> ClaimCard:
    rests = cut(", ".join(claim.provenance))
    return ClaimCard(said(claim), looked(claim), claim.field, rests, measured(claim))


def _abstained(name: str, known: dict[str, Claim], facts: Facts) -> str:
    if name in known:
        return said(known[name])
    entity = next((e for e in facts.entities if e.id == name), None)
    return f"{entity.type}: {' / '.join(entity.name.values())}" if entity else name.replace("_", " ")
