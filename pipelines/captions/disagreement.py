"""How far two captioners are apart on one picture: what only one of them says, by kind."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from thresher.operators.captions.record import CaptionRecord
from thresher.pipelines.captions.words import words

Said = frozenset[str]


class Aspect(NamedTuple):
    """One kind of statement: what only the first, and only the second says; `both`: how many they share."""

    name: str
    first: list[str]
    second: list[str]
    both: int

    @property
    def distance(self) -> float:
        """Jaccard's: the share of all that is said which only one says."""
        apart = len(self.first) + len(self.second)
        return apart / (apart + self.both)


def aspects(first: CaptionRecord, second: CaptionRecord) -> list[Aspect]:
    """The kinds of statement that either record makes."""
    found = []
    for name, said in _ASPECTS.items():
        a, b = said(first), said(second)
        if a or b:
            found.append(Aspect(name, sorted(a - b), sorted(b - a), len(a & b)))
    return found


def disagreement(found: list[Aspect]) -> float:
    """The mean distance over those kinds: 0 all alike, 1 nothing in common."""
    return sum(a.distance for a in found) / len(found) if found else 0.0


def _counts(record: CaptionRecord) -> Said:
    values = (claim.value for claim in record.claims)
    return frozenset(f"{v.count} {v.label or '?'}".casefold() for v in values if v and v.count is not None)


def _colours(record: CaptionRecord) -> Said:
    values = (claim.value for claim in record.claims)
    return frozenset(f"{v.colour} {v.label or '?'}".casefold() for v in values if v and v.colour)


def _quotes(record: CaptionRecord) -> Said:
    return frozenset(c.value.text.casefold() for c in record.claims if c.value and c.value.text)


def _names(record: CaptionRecord) -> Said:
    known = {e.id: next(iter(e.name.values()), e.type) for e in record.facts.entities}
    asked = (c.value.entity for c in record.claims if c.value and c.value.entity)
    return frozenset(known.get(entity, entity).casefold() for entity in asked)


def _claims(record: CaptionRecord) -> Said:
    """The words of all claims: in English where there are any; of Chinese, pairs of characters."""
    found: set[str] = set()
    for claim in record.claims:
        said = claim.text.get("en") or next(iter(claim.text.values()), "")
        inside = words(said)
        found |= {w for w in inside if len(w) > 2}
        found |= {a + b for a, b in pairwise(inside) if len(a) == len(b) == 1}
    return frozenset(found)


_ASPECTS: dict[str, Callable[[CaptionRecord], Said]] = {
    "counts": _counts,
    "names": _names,
    "colours": _colours,
    "quoted text": _quotes,
    "words of the claims": _claims,
}
