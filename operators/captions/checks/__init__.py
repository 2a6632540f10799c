"""What every caption must pass: checks of text against text, facts and claims, without a model.

`form` refusal, length; `language`; `repetition`; `ocr` quotes; `entities` names; `grounded` sentences against
their claims; `crosslang` English against Chinese; `levels` short against long, and long against the facts;
`style` objective, boilerplate, watermark; `pii`; `decided` claims that facts judge. Bounds are those of
docs/captions.md.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

import pyarrow as pa

from thresher.operators.captions.checks import (
    crosslang,
    entities,
    form,
    grounded,
    language,
    levels,
    ocr,
    pii,
    repetition,
    sentences,
    style,
)
from thresher.operators.captions.checks.decided import agreement
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import count
from thresher.operators.captions.record import CaptionRecord, Claim, Text
from thresher.schemas import Column

__all__ = ["COLUMNS", "HIGHEST", "agreement", "judged", "record_findings", "text_findings"]
_LOW = "; the lowest of its texts, null if there was nothing to judge"
_HIGH = "; the highest of its texts"
COLUMNS = (
    Column("refusal", pa.float32(), "", "1 if a text refuses or has fewer than 3 words", 0, 1),
    Column(
        "length", pa.float32(), "ratio", "words over the bound of their level that they pass; 1 inside", 0
    ),
    Column("language", pa.float32(), "share", "letters outside quotes in the text's script" + _LOW, 0, 1),
    Column("repetition", pa.float32(), "ratio", "worst measure of repetition over its bound" + _HIGH, 0),
    Column("ocr_precision", pa.float32(), "share", "quoted characters that lines of text hold" + _LOW, 0, 1),
    Column("ocr_recall", pa.float32(), "share", "characters of clear lines that are quoted" + _LOW, 0, 1),
    Column("ocr_lang", pa.float32(), "share", "quotes in the script of their line" + _LOW, 0, 1),
    Column("entity_support", pa.float32(), "share", "names with evidence" + _LOW, 0, 1),
    Column(
        "grounded", pa.float32(), "share", "numbers, quotes, colours, names that claims hold" + _LOW, 0, 1
    ),
    Column("objective", pa.float32(), "share", "sentences with opinions or guesses" + _HIGH, 0, 1),
    Column("boilerplate", pa.float32(), "", "1 if a text begins like `The image shows`", 0, 1),
    Column("pii", pa.float32(), "count", "personal data masked in a text" + _HIGH, 0),
    Column("watermark", pa.float32(), "", "0 if a text disagrees with the watermarks found" + _LOW, 0, 1),
    Column("levels", pa.float32(), "share", "claims of the short text that the long one holds" + _LOW, 0, 1),
    Column("bidirectional", pa.float32(), "share", "sure facts that the long text mentions" + _LOW, 0, 1),
    Column("xlang", pa.float32(), "share", "numbers, quotes, names that both languages say" + _LOW, 0, 1),
)
"""What `<name>.checks.*` hold, without the prefix."""
CONTENT = frozenset({"refusal", "ocr_precision", "ocr_lang", "entity_support", "grounded"})
"""Checks of what a text says, not of how."""
HIGHEST = frozenset({"refusal", "repetition", "objective", "boilerplate", "pii"})
"""Checks of which more is worse; `length` is worst where it is farthest from 1."""


def text_findings(record: CaptionRecord, text: Text) -> list[Finding]:
    """What each check says of one text by itself."""
    facts = record.facts
    return [
        form.refusal(text),
        form.length(text),
        language.language(text),
        repetition.repetition(text),
        ocr.ocr_precision(text, facts),
        ocr.ocr_recall(text, facts),
        ocr.ocr_lang(text, facts),
        entities.entity_support(text, record),
        grounded.grounded(text, record),
        style.objective(text),
        style.boilerplate(text),
        pii.pii(text),
        style.watermark(text, facts),
    ]


def record_findings(record: CaptionRecord) -> list[Finding]:
    """What the checks say of texts beside each other, and of long texts beside the facts."""
    return [finding for _, finding in _between(record)]


def judged(record: CaptionRecord) -> CaptionRecord:
    """The record with `words`, `status` and `fails` of every written text, and the worst value of each check.

    A text fails by its hard checks alone. Personal data is masked in texts and claims first.
    """
    record = _masked(record)
    findings = {text.id: text_findings(record, text) for text in _written(record)}
    for texts, finding in _between(record):
        untrue = [text for text in texts if finding.check == "xlang" and _untrue(findings[text.id])]
        for text in untrue or texts:
            findings[text.id].append(finding)
    found: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in (finding for held in findings.values() for finding in held):
        found[finding.check].append(finding)
    values = {column.name: _worst(column.name, found[column.name]) for column in COLUMNS}
    marked = tuple(_marked(text, findings[text.id]) if text.id in findings else text for text in record.texts)
    return record.model_copy(update={"texts": marked, "checks": record.checks | values})


def _written(record: CaptionRecord) -> list[Text]:
    return [text for text in record.texts if text.level != "raw"]


def _between(record: CaptionRecord) -> Iterator[tuple[list[Text], Finding]]:
    """Findings that need more than one text, each with the texts that it may fail.

    Of two languages that differ nobody knows which is wrong: both fail, unless only one of them is known to
    say what does not hold. A short text that claims more than the long one fails alone.
    """
    for level, finding in crosslang.xlang(record):
        yield [text for text in _written(record) if text.level == level], finding
    for lang, finding in levels.levels(record):
        yield [text for text in _written(record) if (text.lang, text.level) == (lang, "short")], finding
    for lang, finding in levels.bidirectional(record):
        yield [text for text in _written(record) if (text.lang, text.level) == (lang, "long")], finding


def _untrue(findings: Iterable[Finding]) -> bool:
    """Whether a text by itself says what it must not."""
    return any(f.hard and not f.ok and f.check in CONTENT for f in findings)


def _marked(text: Text, findings: Iterable[Finding]) -> Text:
    fails = tuple(dict.fromkeys(f.check for f in findings if f.hard and not f.ok))
    size = count(text.text, text.lang, text.level)
    return text.model_copy(update={"words": size, "fails": fails, "status": "fail" if fails else "pass"})


def _worst(check: str, findings: Iterable[Finding]) -> float | None:
    """The worst value, those of texts at fault before others: bounds differ by language."""
    held = [(f.ok, f.value) for f in findings if f.value is not None]
    values = [value for ok, value in held if not ok] or [value for _, value in held]
    if check == "length":
        return max(values, key=lambda value: max(value, 1 / value if value else math.inf), default=None)
    return (max if check in HIGHEST else min)(values, default=None)


def _masked(record: CaptionRecord) -> CaptionRecord:
    """The record without personal data in its written texts and claims; sentences keep their claims."""
    texts = tuple(text if text.level == "raw" else _masked_text(text) for text in record.texts)
    claims = tuple(_masked_claim(claim) for claim in record.claims)
    return record.model_copy(update={"texts": texts, "claims": claims})


def _masked_text(text: Text) -> Text:
    if pii.masked(text.text, text.lang) == text.text:
        return text
    held, places = "", []
    for said, claims in sentences.parts(text):
        held += pii.masked(said, text.lang)
        places.append({"end": len(held), "claims": claims})
    return Text.model_validate(text.model_dump() | {"text": held, "sentences": places})


def _masked_claim(claim: Claim) -> Claim:
    said = {lang: pii.masked(words, lang) for lang, words in claim.text.items()}
    return claim if said == claim.text else claim.model_copy(update={"text": said})
