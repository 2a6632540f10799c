"""Whether a rewrite keeps every claim of its prompt, and adds none that the picture does not support.

This is what rules can decide; `judging` asks a model for the rest.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from thresher.operators.captions.language.lexicon import FREE, RELATIONS, points
from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.language.words import unquoted
from thresher.operators.captions.reason.said import Bound, Said, capitals, content, others, said
from thresher.operators.captions.record import Claim
from thresher.operators.captions.taxonomy import Field, KeyPoint, Lang

How = Literal["lost", "added", "changed"]

_POINT: dict[Field, KeyPoint] = {
    "primary.noun": "compositional", "primary.key_attributes": "cross_entity_binding",
    "primary.other_attributes": "cross_entity_binding", "primary.action": "full_body",
    "secondary.noun": "compositional", "secondary.attributes": "cross_entity_binding",
    "secondary.action": "full_body", "scene.noun": "compositional", "scene.attributes": "state",
    "other.shot": "layout", "other.style": "artistic_style", "other.composition": "layout",
    "ocr": "text_rendering", "entity": "knowledge_application", "count": "counting", "relation": "layout",
    "camera": "layout", "knowledge": "knowledge_application",
}  # fmt: skip
"""The key point that a claim of a field is taken for where it names none. Ours."""


class Fault(NamedTuple):
    """What a rewrite does to a key point of its prompt; `told` is written for who writes it anew."""

    how: How
    point: KeyPoint
    told: str

    @property
    def name(self) -> str:
        """`lost:counting`."""
        return f"{self.how}:{self.point}"


class Rewrite(NamedTuple):
    """A prompt and its rewrite. `asked`: the claims of the prompt; `allowed`: those that it may make besides.

    `names`: proper names that the picture's record knows, in the language of the texts.
    """

    prompt: str
    refined: str
    lang: Lang
    asked: Sequence[Claim]
    allowed: Sequence[Claim]
    names: Sequence[str] = ()


def points_of(claim: Claim) -> tuple[KeyPoint, ...]:
    """The key points of a claim; by its field, where it names none."""
    return claim.key_points or (_POINT[claim.field],)


def rewrite_faults(rewrite: Rewrite) -> list[Fault]:
    """What rules find, one fault for each key point and kind, in the order of the checks."""
    allowed = [c.text[rewrite.lang] for c in rewrite.allowed if rewrite.lang in c.text]
    names = _names(rewrite, allowed)
    before, after = (said(text, rewrite.lang, names) for text in (rewrite.prompt, rewrite.refined))
    may = [before, *(said(text, rewrite.lang, names) for text in allowed)]
    found = [
        *_literal_faults(before, after, may),
        *_concept_faults(before, after, may),
        *_binding_faults(before, after),
        *_word_faults(rewrite),
    ]
    first = {(fault.how, fault.point): fault for fault in reversed(found)}
    changed = {fault.point for fault in found if fault.how == "changed"}
    return [f for f in reversed(first.values()) if f.how == "changed" or f.point not in changed]


def _names(rewrite: Rewrite, allowed: Iterable[str]) -> list[str]:
    """Known names, and those of several words that capital letters give away in any of the texts: where such
    a name begins a sentence, its capitals tell nothing."""
    texts = (rewrite.prompt, rewrite.refined, *allowed)
    given = (name for text in texts for name in capitals(unquoted(text), rewrite.lang) if " " in name)
    return list(dict.fromkeys((*rewrite.names, *given)))


def _literal_faults(before: Said, after: Said, may: Sequence[Said]) -> Iterator[Fault]:
    known = {key for some in may for key in some.quotes}
    lost = [text for key, text in before.quotes.items() if key not in after.quotes]
    added = [text for key, text in after.quotes.items() if key not in known]
    yield from _told("text_rendering", lost, added)
    named = {key for some in may for key in some.names}
    lost = [name for key, name in before.names.items() if not _among(key, after.names)]
    added = [name for key, name in after.names.items() if not _among(key, named)]
    yield from _told("knowledge_application", lost, added)


def _concept_faults(before: Said, after: Said, may: Sequence[Said]) -> Iterator[Fault]:
    known = frozenset[object]().union(*(s.concepts for s in may))
    for family in sorted({c.family for c in before.concepts | after.concepts}):
        lost = sorted(c.name for c in before.concepts - after.concepts if c.family == family)
        added = sorted(c.name for c in after.concepts - known if c.family == family)
        if family in FREE and not (lost and added):
            continue
        yield from _told(_point(family), lost, added)


def _binding_faults(before: Said, after: Said) -> Iterator[Fault]:
    """What is said of a thing in the prompt must not be said of another, with something else in its place."""
    for bound in sorted(before.bound, key=str):
        family = bound.concept.family
        same = [b for b in after.bound if b.concept.family == family]
        if family in RELATIONS:
            if any(_swapped(bound, b) for b in same) and not any(_kept(bound, b) for b in same):
                yield Fault("changed", _point(family), f"the two sides of {bound.concept.name!r} are swapped")
            continue
        about = [b for b in same if b.things & bound.things]
        if about and not any(b.concept == bound.concept for b in about):
            swapped = family != "number" and any(b.concept in before.concepts for b in about)
            point = "cross_entity_binding" if swapped else _point(family)
            what = f"{bound.concept.name!r} is said of something else in the prompt"
            yield Fault("changed", point, f"{what} ({', '.join(sorted(bound.things))})")
        if family == "negation" and same and not about:
            yield Fault(
                "lost", "negation", f"what is denied in the prompt: {', '.join(sorted(bound.things))}"
            )


def _word_faults(rewrite: Rewrite) -> Iterator[Fault]:
    """A claim of the prompt of which no word stands in the rewrite is lost; rules told of its concepts."""
    written, refined = content(rewrite.refined, rewrite.lang), simplified(rewrite.refined)
    for claim in rewrite.asked:
        text = claim.text.get(rewrite.lang, "")
        words = others(text, rewrite.lang)
        if rewrite.lang == "zh":
            kept = any(word.rstrip("子头儿") in refined for word in words)
        else:
            kept = bool(words & written)
        if words and not kept:
            yield Fault("lost", points_of(claim)[0], f"nothing is left of {text!r}")


def _told(point: KeyPoint, lost: Sequence[str], added: Sequence[str]) -> Iterator[Fault]:
    if lost and added:
        yield Fault("changed", point, f"{_list(lost)} of the prompt became {_list(added)}")
    elif lost:
        yield Fault("lost", point, f"{_list(lost)} of the prompt is gone")
    elif added:
        yield Fault("added", point, f"{_list(added)} is neither in the prompt nor known of the scene")


def _point(family: str) -> KeyPoint:
    own: dict[str, KeyPoint] = {"number": "counting", "negation": "negation"}
    return own.get(family) or points()[family]


def _swapped(one: Bound, other: Bound) -> bool:
    if one.concept != other.concept:
        return False
    crossed = one.things & other.others - other.things, one.others & other.things - other.others
    return all(crossed)


def _kept(one: Bound, other: Bound) -> bool:
    return one.concept == other.concept and bool(one.things & other.things - other.others)


def _among(name: str, names: Iterable[str]) -> bool:
    return any(name in other or other in name for other in names)


def _list(words: Sequence[str]) -> str:
    return ", ".join(repr(word) for word in words)
