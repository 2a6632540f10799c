"""The closed lists of a caption record."""

from typing import Literal, NamedTuple, get_args

Lang = Literal["en", "zh"]
WrittenLevel = Literal["tags", "prompt", "short", "medium", "long", "dense"]
Level = Literal["raw", WrittenLevel]
Verdict = Literal["supported", "refuted", "unsure"]

Field = Literal[
    "primary.noun", "primary.key_attributes", "primary.other_attributes", "primary.action",
    "secondary.noun", "secondary.attributes", "secondary.action",
    "scene.noun", "scene.attributes",
    "other.shot", "other.style", "other.composition",
    "ocr", "entity", "count", "relation", "camera", "knowledge",
]  # fmt: skip
"""What a claim is about: the 12 fields of SSAE (arXiv 2509.23951), and six of ours."""

KeyPoint = Literal[
    "negation", "attribute_consistency", "pronoun_resolution",
    "artistic_style", "expression", "material", "counting", "size",
    "contact_interaction", "full_body", "state", "hand", "animal", "interaction_without_contact",
    "cross_entity_binding", "compositional", "containment", "similarity", "comparative", "layout",
    "knowledge_application", "counterfactual",
    "text_rendering", "text_layout",
]  # fmt: skip
"""The 24 key points of PromptEnhancer (arXiv 2509.04545)."""

STYLE = ("art_style", "medium", "shot", "lens", "angle", "lighting", "atmosphere", "composition")
IMAGE_TYPES = (
    "photo", "illustration", "render", "screenshot", "document", "poster", "chart", "collage", "other",
)  # fmt: skip
ImageType = Literal[
    "photo", "illustration", "render", "screenshot", "document", "poster", "chart", "collage", "other"
]

CALLED = "^[a-z][a-z0-9_]{0,39}$"
"""Names of captioners, which begin those of their columns."""

LANGS: tuple[Lang, ...] = get_args(Lang)
WRITTEN: tuple[Level, ...] = get_args(WrittenLevel)
"""Levels that a captioner writes, by length; `raw` is what came with the file."""


class Range(NamedTuple):
    """Fewest and most, inclusive."""

    least: int
    most: int


LENGTHS: dict[Level, dict[Lang, Range]] = {
    "tags": {"en": Range(3, 40), "zh": Range(3, 40)},
    "prompt": {"en": Range(1, 25), "zh": Range(2, 40)},
    "short": {"en": Range(8, 30), "zh": Range(12, 50)},
    "medium": {"en": Range(30, 80), "zh": Range(50, 140)},
    "long": {"en": Range(80, 250), "zh": Range(140, 450)},
    "dense": {"en": Range(250, 1000), "zh": Range(450, 1800)},
}
"""Words (en) and Han characters (zh) of each level; items for tags. Ours, from the 30 to 1,000 words of
HunyuanImage 3.0 and text encoders of 300 tokens."""

SURE: dict[Field, float] = {
    "count": 0.9, "ocr": 0.9, "entity": 0.9, "knowledge": 0.9, "primary.noun": 0.9, "secondary.noun": 0.9,
    "scene.noun": 0.9, "other.style": 0.5, "other.composition": 0.5,
}  # fmt: skip
"""How sure a verdict must be to count, by field; `SURE_ELSE` for the others. Names, counts and text 0.9,
attributes 0.75, mood 0.5: an answer below that is `unsure` (arXiv 2509.04664)."""
SURE_ELSE = 0.75
