"""`levels`, `bidirectional`: a long text claims what the short one does, and says what is known."""

from collections.abc import Iterator

import regex

from thresher.operators.captions.checks.entities import evidenced, named
from thresher.operators.captions.facts.mentions import mentioned, person, singly
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language import numbers
from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.language.words import word_set, words
from thresher.operators.captions.record import CaptionRecord, Claim, Entity, Text, Thing
from thresher.operators.captions.taxonomy import LANGS, Lang

SURE = 0.9
"""Probability from which a fact must be said (images.md 6.3)."""
MANY = 10
"""Things; more are not counted one by one in a caption, so that naming them is enough. Ours."""
PEOPLE = word_set(
    """
    person people man men woman women boy boys girl girls child children adult adults baby human face
    faces
    """
)
"""A detector's `person` is told as one of these."""
_PLURAL = regex.compile(r"(?<=[^s])s$")


def levels(record: CaptionRecord) -> Iterator[tuple[Lang, Finding]]:
    """For each language with a short and a long text, the share of the short claims that the long has."""
    for lang in LANGS:
        short, long = record.text(lang, "short"), record.text(lang, "long")
        if not (short and long and short.claims):
            continue
        alone = [claim for claim in short.claims if claim not in long.claims]
        told = f"claims of the short text that the long one lacks: {', '.join(alone)}"
        share = 1 - len(alone) / len(short.claims)
        yield lang, Finding("levels", not alone, share, told if alone else "")


def bidirectional(record: CaptionRecord) -> Iterator[tuple[Lang, Finding]]:
    """For each long text, the share of the entities and counts with p >= 0.9 that it mentions."""
    facts = record.facts
    things = [thing for thing in facts.objects if (thing.p or 0) >= SURE and thing.count > 0]
    entities = [e for e in facts.entities if (e.p or 0) >= SURE and evidenced(e, facts)]
    for lang in LANGS:
        long = record.text(lang, "long")
        if not long or not (things or entities):
            continue
        made = [claim for claim in record.claims if claim.id in long.claims]
        missed = [f"{t.count} {t.label}" for t in things if not _counted(t, long, made)]
        missed += [e.name.get(lang) or e.id for e in entities if not _named(e, long, made)]
        share = 1 - len(missed) / (len(things) + len(entities))
        told = f"known but not said: {', '.join(missed)}"
        yield lang, Finding("bidirectional", not missed, share, told if missed else "")


def _named(entity: Entity, text: Text, made: list[Claim]) -> bool:
    return named(text.text, entity) or any(c.value is not None and c.value.entity == entity.id for c in made)


def _counted(thing: Thing, text: Text, made: list[Claim]) -> bool:
    """Whether a claim of the text rests on it or counts it, or the text has its noun and its number."""
    label = kinds(thing.label)
    for claim in made:
        value = claim.value
        counts = value is not None and value.count == thing.count and kinds(value.label or "") & label
        if f"object:{thing.id}" in claim.provenance or counts:
            return True
    name, plain = thing.label.casefold().strip(), simplified(text.text)
    if not mentioned(name, plain, text.lang):
        return False
    loose = thing.count == 2 or person(name)
    said = numbers.possible(plain) if loose else numbers.sure(plain, text.lang)
    uncounted = thing.count > MANY or thing.count == 1
    return uncounted or thing.count in said or singly(name, plain, text.lang) >= thing.count


def kinds(text: str, people: bool = True) -> frozenset[str]:
    """The nouns of a text in the singular; all words for people are one kind, unless `people` is False."""
    said = frozenset(_PLURAL.sub("", word.casefold()) for word in words(text))
    return said | PEOPLE if people and said & PEOPLE else said
