"""`entity_support`: whoever and whatever a text names must be known from elsewhere than its captioner."""

import unicodedata
from collections.abc import Collection, Iterator, Sequence

import regex
from rapidfuzz.distance import Levenshtein

from thresher.operators.captions.checks.sentences import holding, parts
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.forms import forms, ordinary
from thresher.operators.captions.language.names import (
    BRANDS,
    COMMON,
    GIVEN,
    KNOWN,
    OPENERS,
    PARTICLES,
    PHRASES,
)
from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.language.words import HAN, items, split, unquoted, words
from thresher.operators.captions.record import CaptionRecord, Claim, Entity, Facts, Text
from thresher.operators.captions.taxonomy import Lang

LEAST = 1.0
"""Share of the names with evidence (images.md 6.3)."""
ALIKE = 0.85
"""1 - Levenshtein / longer length, of each word of a name: `York` is no `Cork`. Ours."""
_MARKS = regex.compile(r"\p{M}")
_TITLE = regex.compile(r"《([^《》]+)》")
_CAPITAL = regex.compile(r"^(?:\p{Lu}|\p{Ll}{1,2}\p{Lu}\p{Ll}{2})")
_NAMELIKE = regex.compile(r"\p{Ll}\p{Lu}\p{Ll}")
_POSSESSIVE = regex.compile(r"['’]s?$")
_PHRASE = regex.compile(rf"(?i)\b(?:{PHRASES})\b")
_BRAND = regex.compile(rf"\b(?:{'|'.join(BRANDS)})\b")
_PEOPLES = regex.compile(r"^\p{L}{2,}(?:ish|ese|[ei]an)$")
_ROMAN = regex.compile(r"\b(?=[IVXLC]{2})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\b")
_CODE = regex.compile(r"^\p{Latin}?\d+$")
_GAP = regex.compile(r"^[\s·.&'’-]*$")


def supporting(name: str, facts: Facts) -> tuple[str, ...]:
    """Ids of the facts that hold a name: lines of text, texts that came with the picture, measured words,
    and entities with evidence.

    Words must stand together; each may differ by a misread letter in seven, digits not at all. Marks on
    letters, case and possessives do not count. Chinese names must stand as they are.
    """
    held = [(line.id, line.text) for line in facts.ocr] + [(meta.id, meta.text) for meta in facts.meta]
    held += [(fact.id, fact.value) for fact in facts.measured if isinstance(fact.value, str)]
    held += [(e.id, known) for e in facts.entities if evidenced(e, facts) for known in e.name.values()]
    sought = _words(name)
    return tuple(dict.fromkeys(id for id, text in held if sought and _stands(sought, _words(text))))


def evidenced(entity: Entity, facts: Facts) -> bool:
    """Whether an entity rests on a fact of the record, or on an entry of a knowledge base (`kb:...`)."""
    known = {line.id for line in facts.ocr} | {meta.id for meta in facts.meta}
    known |= {thing.id for thing in facts.objects} | {one.id for one in facts.measured}
    return any(id in known or id.startswith("kb:") for id in entity.evidence)


def unsupported(facts: Facts) -> tuple[str, ...]:
    """Ids of the entities without evidence, which no text may name."""
    return tuple(entity.id for entity in facts.entities if not evidenced(entity, facts))


def names(text: str, tags: bool = False) -> list[str]:
    """Names in a text outside quotes: capitalised words (but those that a sentence begins with, unless they
    are capitalised elsewhere too, or are well known or spelt as no other word is) and titles in 《》."""
    plain = _PHRASE.sub(lambda match: match[0].lower(), unquoted(text))
    pieces = items(plain) if tags else [part for line in split(plain, "zh") for part in split(line, "en")]
    spans = [span for piece in pieces for span in _spans(piece)]
    inside = frozenset(word for span, first in spans for word in span[first:])
    found = [span if not first or _opens(span[0], inside) else span[1:] for span, first in spans]
    titles = [match[1] for match in _TITLE.finditer(plain)]
    titles += _BRAND.findall(plain)
    return list(dict.fromkeys([*(" ".join(span) for span in found if span), *titles]))


def named(text: str, entity: Entity) -> bool:
    """Whether a text names an entity, in either language, by its name or a short form of it."""
    return bool(_said(entity, text))


def entity_support(text: Text, record: CaptionRecord) -> Finding:
    """Share of the names with evidence. For Chinese, which has no capitals, also the names in the claims."""
    facts, plain = record.facts, unquoted(text.text)
    bare = unsupported(facts)
    said = names(text.text, text.level == "tags")
    verdicts = {name: supported(name, facts) for name in said if not common(name)}
    for entity in facts.entities:
        if named(plain, entity):
            verdicts |= {known: entity.id not in bare for known in _said(entity, plain)}
    made = [claim for claim in record.claims if claim.id in text.claims]
    for claim in made:
        verdicts |= _claimed(claim, text.lang, facts)
    if not verdicts:
        return Finding("entity_support", True)
    wrong = [name for name, ok in verdicts.items() if not ok]
    share = 1 - len(wrong) / len(verdicts)
    told = f"named without evidence: {', '.join(map(repr, wrong))}; say of what type it is"
    bad = {claim.id for claim in made if not all(_claimed(claim, text.lang, facts).values())}
    places = {place for place, (_, claims) in enumerate(parts(text)) if bad.intersection(claims)}
    found = tuple(sorted(places.union(holding(text, wrong))))
    return Finding("entity_support", not wrong, share, told if wrong else "", True, found)


def supported(name: str, facts: Facts) -> bool:
    """Whether facts hold a name, or it is made of names of entities with evidence and common words."""
    if supporting(name, facts):
        return True
    rest = _words(_ROMAN.sub("", name))
    for entity in facts.entities:
        for known in entity.name.values() if evidenced(entity, facts) else ():
            rest = _without(rest, _words(known))
    return _common(rest)


def common(name: str) -> bool:
    """Whether capitalised words name nothing, such as a language or a day."""
    return _common(_words(_ROMAN.sub("", name)))


def stands(name: str, text: str) -> bool:
    """Whether the words of a name stand together in a text, but for misread letters."""
    return _stands(_words(name), _words(text))


def _opens(word: str, inside: Collection[str]) -> bool:
    """Whether a capitalised word that begins a sentence is a name there."""
    return word in inside or word.casefold() in KNOWN or bool(_NAMELIKE.search(word))


def _common(said: Sequence[str]) -> bool:
    letters = (word for word in said if HAN.match(word) or len(word) > 1)
    return all(_names_nothing(word) for word in letters)


def _names_nothing(word: str) -> bool:
    people = bool(_PEOPLES.match(word)) and word not in GIVEN
    return word in COMMON or word in PARTICLES or people or bool(_CODE.match(word))


def _claimed(claim: Claim, lang: Lang, facts: Facts) -> dict[str, bool]:
    """The entity that a claim is about, and, for a Chinese text, the names in its English words."""
    found: dict[str, bool] = {}
    entity = claim.value.entity if claim.value else None
    if entity is not None:
        known = next((e for e in facts.entities if e.id == entity), None)
        found[entity] = known is not None and evidenced(known, facts)
    if lang == "zh" and claim.field in ("entity", "knowledge"):
        found |= {
            name: supported(name, facts) for name in names(claim.text.get("en", "")) if not common(name)
        }
    return found


def _said(entity: Entity, text: str) -> list[str]:
    """The names and short forms of an entity that a text says, as it spells them where it can be told."""
    held, plain, said = _words(text), simplified(text), []
    for name in entity.name.values():
        sought = forms(name)
        if sought and (match := sought.search(plain)):
            said.append(text[match.start() : match.end()])
        elif not all(map(ordinary, sought_words := _words(name))) and _stands(sought_words, held):
            said.append(name)
    return said


def _spans(sentence: str) -> Iterator[tuple[list[str], int]]:
    """Runs of capitalised words, joined by small words, up to a possessive; and 1 where the first of them
    begins the sentence."""
    run: list[str] = []
    small: list[str] = []
    starts, seen, place = 0, False, 0
    for word in words(sentence):
        at = sentence.index(word, place)
        joined = bool(_GAP.match(sentence[place:at]))
        place = at + len(word)
        if run and not joined:
            yield run, starts
            run, small = [], []
        name = _POSSESSIVE.sub("", word)
        opens, seen = not seen, True
        if _CAPITAL.match(name) and not (opens and name.casefold() in OPENERS):
            if not run:
                starts = int(opens)
            run, small = [*run, *small, name], []
            if name != word:
                yield run, starts
                run = []
        elif run and name in PARTICLES:
            small.append(name)
        elif run:
            yield run, starts
            run, small = [], []
    if run:
        yield run, starts


def _words(text: str) -> list[str]:
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    return [_POSSESSIVE.sub("", word) for word in words(plain)]


def _stands(sought: Sequence[str], held: Sequence[str]) -> bool:
    size = len(sought)
    return any(all(map(_same, sought, held[i : i + size])) for i in range(len(held) - size + 1) if size)


def _same(a: str, b: str) -> bool:
    if a == b:
        return True
    if HAN.search(a + b) or any(c.isdigit() for c in a + b):
        return False
    return Levenshtein.normalized_similarity(a, b) >= ALIKE


def _without(held: list[str], part: Sequence[str]) -> list[str]:
    size = len(part)
    for i in range(len(held) - size + 1):
        if size and all(map(_same, part, held[i : i + size])):
            return [*held[:i], *held[i + size :]]
    return held
