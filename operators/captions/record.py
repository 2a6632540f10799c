"""The caption record: what a picture's captions say, on what evidence, and what became of each claim.

It is stored as the JSON text of the column `caption`. Texts are made of sentences, and each sentence names
the claims that it makes, so that a claim can be taken out of every text.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from thresher.operators.captions.taxonomy import Field, ImageType, KeyPoint, Lang, Level, Verdict

VERSION = 1


class Part(BaseModel):
    """Base of everything inside a record."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OcrLine(Part):
    """A line of text in the picture. `box`: x0 y0 x1 y1 as shares; `height`: share of the short side."""

    id: str
    text: str
    lang: str | None = None
    script: str | None = None
    box: tuple[float, float, float, float] | None = None
    conf: float = 1.0
    height: float | None = None
    engine: str = ""


class Entity(Part):
    """A named thing. `evidence`: ids of facts outside the captioner (`m1`, `o1`); without any it may not be
    named, only called by its `type`."""

    id: str
    name: dict[Lang, str]
    type: str
    kb: str | None = None
    evidence: tuple[str, ...] = ()
    p: float | None = None


class Meta(Part):
    """A text that came with the picture. `file_name`: the words of its file's name."""

    id: str
    kind: Literal["alt_text", "title", "tags", "exif", "url", "page_text", "file_name"]
    text: str
    lang: str | None = None


class Thing(Part):
    """Things of one kind that a detector found. `boxes`: x0 y0 x1 y1 as shares."""

    id: str
    label: str
    count: int
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    p: float | None = None


class Measured(Part):
    """A measured value that a claim may rest on: the column, and its value as text or number."""

    id: str
    column: str
    value: str | int | float | bool


class Facts(Part):
    """What is known of a picture from elsewhere than its captioner."""

    ocr: tuple[OcrLine, ...] = ()
    entities: tuple[Entity, ...] = ()
    meta: tuple[Meta, ...] = ()
    objects: tuple[Thing, ...] = ()
    measured: tuple[Measured, ...] = ()
    image_type: ImageType | None = None
    watermarks: tuple[str, ...] = ()
    ocr_read: bool = False
    """Whether text was looked for: no lines then means no text."""


class Style(Part):
    """How the picture is made; None where the captioner abstained. Words of the captioner, in English."""

    art_style: str | None = None
    medium: str | None = None
    shot: str | None = None
    lens: str | None = None
    angle: str | None = None
    lighting: str | None = None
    atmosphere: str | None = None
    composition: str | None = None


class Value(Part):
    """What can be compared in a claim."""

    count: int | None = None
    colour: str | None = None
    position: str | None = None
    text: str | None = None
    entity: str | None = None
    """Id of an entity."""
    label: str | None = None
    """What is counted, coloured or placed, as one English noun in the singular."""


class Claim(Part):
    """One atomic statement about the picture, in every language of the record.

    `provenance`: `vlm:MODEL`, or the facts that it rests on or that decided it (`ocr:o1`, `object:b1`,
    `meta:m1`, `entity:e1`, `column:faces`). `p`: probability that it is true, by the verifier; `t`: how sure
    it had to be.
    """

    id: str
    field: Field
    text: dict[Lang, str]
    key_points: tuple[KeyPoint, ...] = ()
    value: Value | None = None
    provenance: tuple[str, ...] = ()
    verdict: Verdict = "unsure"
    p: float | None = None
    t: float | None = None
    verifier: str = ""
    """Who gave the verdict; empty: nobody looked yet."""


class Sentence(Part):
    """The next stretch of a text, up to character `end`, and the claims in it."""

    end: int
    claims: tuple[str, ...] = ()


class Maker(Part):
    """What wrote a text."""

    model: str
    revision: str = ""
    prompt: str = ""
    """8 hex digits of the prompts of its step, see `prompts_revision`; empty: it was told nothing."""


class Text(Part):
    """One caption. `tags`: items joined by a comma (en) or 、 (zh), each a sentence here."""

    id: str
    lang: Lang
    level: Level
    text: str
    split: Literal["raw", "recaption", "fused"] = "recaption"
    sentences: tuple[Sentence, ...] = ()
    words: int = 0
    """Words in English, Han characters in Chinese, items of tags."""
    by: Maker | None = None
    status: Literal["pass", "fail", "abstain"] = "pass"
    fails: tuple[str, ...] = ()
    """Names of the checks that it failed."""

    @property
    def claims(self) -> tuple[str, ...]:
        """Ids of its claims, each once, in order."""
        return tuple(dict.fromkeys(c for s in self.sentences for c in s.claims))

    def parts(self) -> list[tuple[str, tuple[str, ...]]]:
        """Its sentences, with the blanks between them, and the claims of each."""
        starts = (0, *(s.end for s in self.sentences))
        return [(self.text[a : s.end], s.claims) for a, s in zip(starts, self.sentences, strict=False)]


class CaptionRecord(Part):
    """Everything about one picture's captions."""

    v: Literal[1] = 1
    languages: tuple[Lang, ...]
    facts: Facts = Facts()
    style: Style = Style()
    texts: tuple[Text, ...] = ()
    claims: tuple[Claim, ...] = ()
    checks: dict[str, float | None] = {}
    """Name of a check -> what its column holds."""
    cost: dict[str, int] = {}
    """What the captioner took: `requests`, `prompt_tokens`, `completion_tokens`."""
    abstained: tuple[str, ...] = ()
    """Style fields, claims and entities on which the captioner or a check abstained."""

    def text(self, lang: Lang, level: Level) -> Text | None:
        """The text of that language and level, whatever its status."""
        return next((t for t in self.texts if (t.lang, t.level) == (lang, level)), None)

    def passed(self) -> list[Text]:
        """Texts that may be used."""
        return [t for t in self.texts if t.status == "pass"]

    def claim(self, name: str) -> Claim:
        """The claim of that id. Raises KeyError."""
        for claim in self.claims:
            if claim.id == name:
                return claim
        raise KeyError(name)

    def dumps(self) -> str:
        """Canonical JSON: sorted keys, no defaults, no blanks."""
        held = {"v": VERSION} | self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(held, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> "CaptionRecord":
        """The record of a `caption` column. Raises pydantic.ValidationError."""
        return cls.model_validate_json(text)


def joined(sentences: Sequence[tuple[str, Sequence[str]]], lang: Lang, tags: bool = False) -> dict[str, Any]:
    """`text` and `sentences` of a Text from (stripped sentence, its claims): joined by a blank in English, by
    nothing in Chinese, tags by a comma."""
    gap = {"en": ", ", "zh": "、"}[lang] if tags else {"en": " ", "zh": ""}[lang]
    text, places = "", []
    for i, (said, claims) in enumerate(sentences):
        text += (gap if i else "") + said
        places.append(Sentence(end=len(text), claims=tuple(claims)))
    return {"text": text, "sentences": tuple(places)}
