"""The texts that a record's caption can be drawn from, and whose words they are."""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from thresher.operators.captions.checks.entities import entity_support
from thresher.operators.captions.checks.form import refusal
from thresher.operators.captions.checks.language import language
from thresher.operators.captions.checks.pii import masked
from thresher.operators.captions.checks.repetition import repetition
from thresher.operators.captions.checks.style import objective
from thresher.operators.captions.draw.synthesis import Synth, level_of
from thresher.operators.captions.facts.compose import BACKEND
from thresher.operators.captions.facts.file_names import by_people
from thresher.operators.captions.language.words import count, language_of
from thresher.operators.captions.record import CaptionRecord, Meta, Text, joined
from thresher.operators.captions.taxonomy import Lang, Level

Split = Literal["raw", "recaption", "fused"]
FEWEST = 3
"""Words or characters of an alt text that is worth fusing: shorter ones are mostly file names."""


GENERATED = ("A", "B")
"""Tiers of `aigc` that are evidence of a generated picture: declared in the file, or a known hidden mark."""
CUT = ("tags", "medium", "long", "dense")
"""Levels that an encoder of 77 or 64 tokens may not read to the end: their scores are none of the whole."""


class Candidate(NamedTuple):
    """One text. `model` wrote it (None: people did); `human`: its provenance holds a human text."""

    name: str
    text: str
    lang: Lang | None
    level: Level | None
    split: Split
    model: str | None
    human: bool
    claims: tuple[str, ...] = ()
    score: float | None = None
    """Cosine of text and picture times 100."""
    weight: float = 1.0
    rank: int | None = None
    """Of its score among the record's candidates; 1 is the best."""
    depth: int | None = None
    """Generative models, one after another, that it is known to come through; None: not known."""


def raw(name: str, text: str) -> Candidate | None:
    """A text that came with the file, without personal data; None where it is the name of a file or an
    address, or a model's refusal."""
    if not by_people(text):
        return None
    lang = language_of(text)
    kept = masked(text, lang)
    if not refusal(Text(id="raw", lang=lang, level="raw", text=kept)).ok:
        return None
    return Candidate(name, kept, lang, "raw", "raw", None, True, depth=0)


def written(
    name: str, text: str, record: CaptionRecord | None, lang: Lang | None, level: Level | None
) -> Candidate:
    """A text that a step wrote; `record`: the caption record that holds it."""
    found = record.text(lang, level) if record and lang and level else None
    if not record or not found:
        return Candidate(name, text, lang, level, "recaption", None, False)
    model = found.by.model if found.by else None
    human = found.split != "recaption" or from_people(record, found.claims)
    depth = _depth(record, model)
    return Candidate(name, text, lang, level, found.split, model, human, found.claims, depth=depth)


def synthesised(name: str, made: Synth, record: CaptionRecord) -> Candidate:
    """A text that was put together from the record's claims."""
    human = from_people(record, made.claims)
    model = _writer(record)
    depth = _depth(record, model)
    return Candidate(
        name, made.text, made.lang, made.level, "recaption", model, human, made.claims, depth=depth
    )


def ranked(found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with the ranks of their scores. Equal scores share a rank; texts that an encoder cuts
    have none."""
    scores = {
        place: one.score for place, one in enumerate(found) if one.score is not None and one.level not in CUT
    }
    ranks = {place: 1 + sum(other > score for other in scores.values()) for place, score in scores.items()}
    return [one._replace(rank=ranks.get(place)) for place, one in enumerate(found)]


def fused(name: str, record: CaptionRecord, without: Collection[str] = ()) -> list[Candidate]:
    """The alt text and then the caption, for each language that both are in, without personal data, if the
    whole passes the checks of a text by itself. What the alt text names needs evidence elsewhere. `without`:
    plain alt texts that are not fused."""
    found: dict[Lang, Candidate] = {}
    for meta in record.facts.meta:
        lang = language_of(meta.text)
        wanted = meta.kind == "alt_text" and meta.text not in without
        if wanted and lang not in found and count(meta.text, lang, "raw") >= FEWEST:
            text = _fuse(meta, lang, record)
            if text:
                model = text.by.model if text.by else None
                title = f"{name}.{lang}.fused"
                made = Candidate(title, text.text, lang, text.level, "fused", model, True, text.claims)
                found[lang] = made._replace(depth=_depth(record, model))
    return list(found.values())


def from_people(record: CaptionRecord, claims: Iterable[str]) -> bool:
    """Whether one of the claims rests on what somebody wrote about the picture."""
    said = {meta.id for meta in record.facts.meta if meta.kind not in ("exif", "url", "file_name")}
    named = {entity.id for entity in record.facts.entities if said & {*entity.evidence}}
    people = {f"meta:{id}" for id in said} | {f"entity:{id}" for id in named}
    asked = {*claims}
    return any(people & {*claim.provenance} for claim in record.claims if claim.id in asked)


def _fuse(meta: Meta, lang: Lang, record: CaptionRecord) -> Text | None:
    levels: tuple[Level, ...] = ("medium", "long", "short")
    passed = {text.level: text for text in record.passed() if text.lang == lang and text.split == "recaption"}
    recaption = next((passed[level] for level in levels if level in passed), None)
    alt = " ".join(meta.text.split())
    if recaption is None or alt.casefold().rstrip(".。") in recaption.text.casefold():
        return None
    stopped = alt if alt[-1] in ".!?。！？" else alt + {"en": ".", "zh": "。"}[lang]
    said = [(stopped, ()), *((sentence.strip(), claims) for sentence, claims in recaption.parts())]
    whole = joined([(masked(sentence, lang), claims) for sentence, claims in said], lang)
    update = {**whole, "id": "fused", "split": "fused", "level": level_of(whole["text"], lang)}
    text = recaption.model_copy(update=update)
    return text if _sound(text, meta, record) else None


def _sound(text: Text, meta: Meta, record: CaptionRecord) -> bool:
    """Whether it passes the hard checks of a text by itself but those that ask for claims. A text is no
    evidence for itself, so `meta` is left out of the facts."""
    others = tuple(one for one in record.facts.meta if one.id != meta.id)
    known = record.model_copy(update={"facts": record.facts.model_copy(update={"meta": others})})
    found = (refusal(text), language(text), repetition(text), objective(text), entity_support(text, known))
    return all(finding.ok for finding in found)


def _writer(record: CaptionRecord) -> str | None:
    return next((text.by.model for text in record.texts if text.by), None)


def _depth(record: CaptionRecord, model: str | None) -> int:
    """The captioner, unless it only states measured facts, and whatever made the picture. Claims that it
    passes on to itself, or that are joined by a template, are no further generation."""
    known = {fact.column: fact.value for fact in record.facts.measured}
    generated = known.get("synthetic") is True or known.get("aigc_tier") in GENERATED
    return int(model != BACKEND) + int(generated)
