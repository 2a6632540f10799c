"""Captions made of verified claims, another one in each epoch: a language, a length and some of the claims
are drawn, then joined in the order of a template.

Compositional synthesis is how HunyuanImage 3.0 (arXiv 2509.23951, section 2.2) gets captions of 30 to 1,000
words from structured fields; its probabilities are unpublished, those here are ours.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from pydantic import Field as Described
from pydantic import field_validator

from thresher.operators.base import Params
from thresher.operators.captions.draw.dice import Dice
from thresher.operators.captions.draw.weave import MOST_ADDED, weave
from thresher.operators.captions.language.words import count
from thresher.operators.captions.record import CaptionRecord, Claim
from thresher.operators.captions.taxonomy import LENGTHS, Field, Lang, Level

Drawn = Literal["medium", "long", "dense"]
FIELDS: dict[Field, float] = dict.fromkeys(get_args(Field), 0.8) | {
    "primary.noun": 1.0, "other.shot": 0.5, "other.style": 0.5, "other.composition": 0.5,
}  # fmt: skip
"""Chance that a claim is kept, by its field; text in the picture always is in long and dense captions."""

_SUBJECTS: tuple[Field, ...] = (
    "primary.noun", "count", "entity", "primary.key_attributes", "primary.other_attributes", "primary.action",
    "secondary.noun", "secondary.attributes", "secondary.action", "relation",
)  # fmt: skip
_SCENE: tuple[Field, ...] = ("scene.noun", "scene.attributes")
_LOOK: tuple[Field, ...] = ("other.style", "other.shot", "other.composition", "camera")
_REST: tuple[Field, ...] = ("ocr", "knowledge")
TEMPLATES: tuple[tuple[Field, ...], ...] = (
    _SUBJECTS + _SCENE + _REST + _LOOK,
    _SCENE + _SUBJECTS + _REST + _LOOK,
    _LOOK + _SUBJECTS + _SCENE + _REST,
)
"""Orders of the fields: from the subject, from the scene, from the style."""


class SynthesisParams(Params):
    """What synthesised captions are like."""

    share: float = Described(0.5, ge=0, le=1, description="share of records that draw a synthesised caption")
    languages: dict[Lang, float] = Described(
        {"en": 0.5, "zh": 0.5}, description="odds of each language that has claims enough"
    )
    levels: dict[Drawn, float] = Described(
        {"medium": 0.28, "long": 0.33, "dense": 0.39},
        description="odds of medium, long and dense; the default makes lengths log-uniform",
    )
    fields: dict[Field, float] = Described(
        {}, description="chance that a verified claim is kept, by field; 0.8 for those without a default"
    )
    words: tuple[int, int] = Described(
        (30, 1000), description="fewest and most words (en) or Chinese characters (zh)"
    )

    @field_validator("languages", "levels")
    @classmethod
    def _odds(cls, odds: dict[str, float]) -> dict[str, float]:
        if not any(odds.values()) or min(odds.values()) < 0:
            raise ValueError("odds are 0 or more, and not all 0")
        return odds

    @field_validator("fields")
    @classmethod
    def _shares(cls, fields: dict[Field, float]) -> dict[Field, float]:
        if not all(0 <= p <= 1 for p in fields.values()):
            raise ValueError("a chance is between 0 and 1")
        return fields

    @field_validator("words")
    @classmethod
    def _bounds(cls, words: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= words[0] < words[1]:
            raise ValueError("the fewest words come first, at least 1")
        return words


class Synth(NamedTuple):
    """A synthesised caption: `claims` are the ids of all that it says, in the text's order."""

    text: str
    lang: Lang
    level: Level
    claims: tuple[str, ...]


class Sized(NamedTuple):
    """A verified claim in one language, and the most that it can add to a text, in words or characters."""

    claim: Claim
    text: str
    words: int
    cost: int


def synthesise(
    record: CaptionRecord, seed: int, id: bytes, epoch: int = 0, params: SynthesisParams | None = None
) -> Synth | None:
    """A caption of the record's supported claims alone, the same for equal (seed, id, epoch).

    A text is never padded: it is shorter than its drawn length where the claims end, and a record whose
    claims do not reach the fewest words in any language has none (None).
    """
    params = params or SynthesisParams()
    dice = Dice("caption.synthesis", seed, id, epoch)
    odds = {lang: odd for lang, odd in params.languages.items() if odd and lang in record.languages}
    while odds:
        lang = dice.choose(odds)
        claims = _verified(record, lang)
        if _enough(claims, params.words):
            break
        del odds[lang]
    else:
        return None
    level = dice.choose(params.levels)
    target = _target(level, lang, params.words, dice)
    chosen = _chosen(claims, level, target, params, dice)
    template = TEMPLATES[int(dice.uniform() * len(TEMPLATES))]
    ordered = sorted(chosen, key=lambda one: template.index(one.claim.field))
    text = weave([one.text for one in ordered], lang, dice)
    if not params.words[0] <= count(text, lang, "long") <= params.words[1]:
        return None
    return Synth(text, lang, level_of(text, lang), tuple(one.claim.id for one in ordered))


def level_of(text: str, lang: Lang) -> Level:
    """The longest level whose bounds a text reaches, at least `short`."""
    long: tuple[Level, ...] = ("dense", "long", "medium")
    words = count(text, lang, "long")
    return next((level for level in long if words >= LENGTHS[level][lang].least), "short")


def _verified(record: CaptionRecord, lang: Lang) -> list[Sized]:
    """The supported claims that are said in a language, each text once."""
    found: dict[str, Sized] = {}
    for claim in record.claims:
        text = " ".join(claim.text.get(lang, "").split())
        if claim.verdict == "supported" and text:
            words = count(text, lang, "long")
            found.setdefault(text.casefold().rstrip(".。"), Sized(claim, text, words, words + MOST_ADDED))
    return list(found.values())


def _enough(claims: Sequence[Sized], words: tuple[int, int]) -> bool:
    return sum(one.words for one in claims if one.cost <= words[1] - words[0]) >= words[0]


def _target(level: Drawn, lang: Lang, words: tuple[int, int], dice: Dice) -> int:
    """A length of that level, log-uniform, within the bounds of all."""
    least, most = (min(max(end, words[0]), words[1]) for end in LENGTHS[level][lang])
    return round(math.exp(math.log(least) + dice.uniform() * math.log(most / least)))


def _chosen(
    claims: Sequence[Sized], level: Drawn, target: int, params: SynthesisParams, dice: Dice
) -> list[Sized]:
    """Which claims a text says: those that are kept by their field's chance, as many as the target holds;
    more of them, then of the others, where that is too little for a text."""
    fields = FIELDS | params.fields | ({"ocr": 1.0} if level != "medium" else {})
    kept = [dice.uniform() < fields[one.claim.field] for one in claims]
    turn = dice.shuffled(range(len(claims)))
    turn.sort(
        key=lambda i: (not kept[i], claims[i].claim.field != "primary.noun", claims[i].claim.field != "ocr")
    )
    said: set[int] = set()
    words = cost = 0
    for i in turn:
        one, short = claims[i], words < params.words[0]
        owed = short or (kept[i] and one.claim.field == "ocr" and level != "medium")
        if (kept[i] or short) and cost + one.cost <= (params.words[1] if owed else target):
            said.add(i)
            words, cost = words + one.words, cost + one.cost
    return [one for i, one in enumerate(claims) if i in said]
