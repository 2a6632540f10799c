"""First half of a model's caption: what it sees, as atomic claims with their provenance."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from thresher.operators.base import Failure
from thresher.operators.captions.checks.entities import named, supporting
from thresher.operators.captions.checks.ocr import alike, important
from thresher.operators.captions.language.words import quoted
from thresher.operators.captions.prompting import filled
from thresher.operators.captions.rebuild import unnamed
from thresher.operators.captions.record import CaptionRecord, Claim, Entity, Facts, Meta, Style, Value
from thresher.operators.captions.taxonomy import STYLE, Field, ImageType, KeyPoint, Lang
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.messages import Form, Message

MAX_TOKENS = 8192
"""Of a reply: 60 claims in two languages take 6,000."""
MOST_CLAIMS = 80
LONGEST = 400
"""Characters of one claim; a longer one is no atomic claim, and is left out."""
_READS = {"en": "The text “{}” can be read.", "zh": "画面上写有“{}”。"}

NameType = Literal[
    "person", "character", "landmark", "place", "brand", "product", "artwork", "species", "event"
]


class SeenStyle(Form):
    """How the picture is made."""

    art_style: str | None
    medium: str | None
    shot: str | None
    lens: str | None
    angle: str | None
    lighting: str | None
    atmosphere: str | None
    composition: str | None


class SeenName(Form):
    """A named thing."""

    en: str
    zh: str
    type: NameType


class SeenClaim(Form):
    """One atomic claim, in both languages."""

    field: Field
    en: str
    zh: str
    label: str | None
    count: int | None
    colour: str | None
    position: str | None
    text: str | None
    entity: str | None
    key_points: list[KeyPoint]


class Seen(Form):
    """The answer."""

    image_type: ImageType
    style: SeenStyle
    entities: list[SeenName]
    watermarks: list[str]
    claims: list[SeenClaim]


async def look(
    chat: Chat, prompt: str, picture: bytes, record: CaptionRecord, model: str, claims: tuple[int, int]
) -> CaptionRecord | Failure:
    """`record` with the claims of the model: between so many and so many are asked for."""
    least, most = map(str, claims)
    said = filled(prompt, facts=told(record.facts) or "(nothing)", least=least, most=most)
    seen = await chat.fill([Message("user", (picture, said))], Seen, MAX_TOKENS)
    return seen if isinstance(seen, Failure) else with_claims(record, seen, model)


def told(facts: Facts) -> str:
    """The facts as lines of a prompt, each on one line."""
    lines = [f"text read: {_quoted(line.text)}" for line in facts.ocr]
    lines += [f"{_source(meta)}: {_quoted(meta.text)}" for meta in facts.meta]
    lines += [f"found by a detector: {thing.count} x {_quoted(thing.label)}" for thing in facts.objects]
    lines += [f"measured: {one.column} = {_quoted(str(one.value))}" for one in facts.measured]
    return "\n".join(lines)


def _source(meta: Meta) -> str:
    name = meta.kind.replace("_", " ")
    return "words of the file's name" if meta.kind == "file_name" else f"{name} that came with the file"


def with_claims(record: CaptionRecord, seen: Seen, model: str) -> CaptionRecord:
    """What was seen, beside the facts: names without evidence are called by their type, quoted text is
    pasted from what was read, and text that was read but not mentioned is added."""
    entities = [_entity(i, name, record.facts) for i, name in enumerate(seen.entities)]
    claims = [_claim(i, claim, record, entities, model) for i, claim in enumerate(seen.claims[:MOST_CLAIMS])]
    kept = [claim for claim in claims if all(0 < len(text) <= LONGEST for text in claim.text.values())]
    kept += _unread(record, kept)
    style = {name: getattr(seen.style, name) or None for name in STYLE}
    facts = record.facts.model_copy(
        update={
            "entities": tuple(entities),
            "image_type": seen.image_type,
            "watermarks": tuple(dict.fromkeys((*record.facts.watermarks, *seen.watermarks))),
        }
    )
    abstained = [name for name in STYLE if style[name] is None]
    update = {"facts": facts, "claims": tuple(kept), "style": Style(**style), "abstained": tuple(abstained)}
    record = record.model_copy(update=update)
    for entity in entities:
        if not entity.evidence:
            record = unnamed(record, entity.id)
    return record


def _entity(i: int, name: SeenName, facts: Facts) -> Entity:
    spelt: dict[Lang, str] = {"en": name.en.strip(), "zh": name.zh.strip()}
    spelt = {lang: text for lang, text in spelt.items() if text}
    found = dict.fromkeys(fact for text in spelt.values() for fact in supporting(text, facts))
    return Entity(id=f"e{i + 1}", name=spelt, type=name.type, evidence=tuple(found))


def _claim(i: int, said: SeenClaim, record: CaptionRecord, entities: Sequence[Entity], model: str) -> Claim:
    texts: dict[Lang, str] = {lang: " ".join(getattr(said, lang).split()) for lang in record.languages}
    named = next((entity for entity in entities if _names(entity, said, texts)), None)
    provenance = [f"vlm:{model}"]
    text = said.text or None
    if text and (line := next((one for one in record.facts.ocr if alike(text, one.text)), None)):
        texts = {lang: _pasted(written, line.text) for lang, written in texts.items()}
        text = line.text
        provenance.append(f"ocr:{line.id}")
    if named:
        provenance.append(f"entity:{named.id}")
    value = Value(
        count=said.count,
        colour=said.colour or None,
        position=said.position or None,
        text=text,
        entity=named.id if named else None,
        label=said.label or None,
    )
    return Claim(
        id=f"c{i + 1}",
        field=said.field,
        text=texts,
        key_points=tuple(dict.fromkeys(said.key_points)),
        value=None if value == Value() else value,
        provenance=tuple(provenance),
    )


def _names(entity: Entity, said: SeenClaim, texts: Mapping[Lang, str]) -> bool:
    """Whether a claim is about an entity, be it said or not."""
    told = (said.entity or "").strip() in entity.name.values()
    return told or any(named(text, entity) for text in texts.values())


def _pasted(said: str, line: str) -> str:
    """A claim in which the quote of a line of text is that line to the letter."""
    for quote in reversed(quoted(said)):
        if alike(quote.text, line):
            start = said.index(quote.text, quote.start)
            said = said[:start] + line + said[start + len(quote.text) :]
    return said


def _unread(record: CaptionRecord, claims: Sequence[Claim]) -> list[Claim]:
    """Claims of the lines that were read, but that no claim quotes."""
    quoted = [claim.value.text for claim in claims if claim.value and claim.value.text]
    lines = [line for line in record.facts.ocr if important(line)]
    lines = [line for line in lines if not any(alike(quote, line.text) for quote in quoted)]
    return [
        Claim(
            id=f"o{i + 1}",
            field="ocr",
            text={lang: _READS[lang].format(line.text) for lang in record.languages},
            key_points=("text_rendering",),
            value=Value(text=line.text),
            provenance=(f"ocr:{line.id}",),
        )
        for i, line in enumerate(lines)
    ]


def _quoted(text: str) -> str:
    """On one line, cut, in quotes that it cannot leave: data in a prompt, not a part of it."""
    return json.dumps(" ".join(text.split())[:500], ensure_ascii=False)
