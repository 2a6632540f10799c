"""A statement that facts alone bear, in both languages: one claim to be, and how texts word it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from thresher.operators.captions.record import Value
from thresher.operators.captions.taxonomy import SURE, SURE_ELSE, Field, KeyPoint, Lang

Topic = Literal["frame", "colour", "place", "tone", "detail", "faces", "things", "text", "layout", "origin"]
"""What is of one topic is said together, in this order."""
TOPICS: tuple[Topic, ...] = get_args(Topic)

Known = dict[str, str | int | float | bool]
"""Measured values by column."""


class Words(NamedTuple):
    """A statement in one language, without stops."""

    claim: str
    """Standing alone."""
    more: str = ""
    """After another one of its topic; empty: as it stands alone."""
    brief: str = ""
    """In the one sentence of a short caption; empty: not there."""
    tag: str = ""
    """Empty: not among tags."""


class Statement(NamedTuple):
    """`p` is the confidence of its fact, 1 where it was measured without one. Of a lower `rank` comes first
    into short captions."""

    topic: Topic
    field: Field
    provenance: tuple[str, ...]
    en: Words
    zh: Words
    rank: float
    key_points: tuple[KeyPoint, ...] = ()
    value: Value | None = None
    p: float = 1.0

    def words(self, lang: Lang) -> Words:
        """Its words in a language."""
        return self.en if lang == "en" else self.zh

    @property
    def bound(self) -> float:
        """How sure its fact has to be."""
        return SURE.get(self.field, SURE_ELSE)


def percent(share: float) -> str:
    """A share as whole per cent."""
    return f"{share:.0%}"


def listed(items: Sequence[str], lang: Lang) -> str:
    """`a, b and c`, `a、b和c`."""
    comma, last = {"en": (", ", " and "), "zh": ("、", "和")}[lang]
    return last.join([comma.join(items[:-1]), items[-1]] if len(items) > 1 else items)
