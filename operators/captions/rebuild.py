"""Texts without some of their claims, or without a name that nothing supports."""

from collections.abc import Collection
from typing import Any

import regex

from thresher.operators.captions.checks.entities import named
from thresher.operators.captions.checks.sentences import parts
from thresher.operators.captions.language.forms import forms
from thresher.operators.captions.language.names import TYPES
from thresher.operators.captions.language.traditional import simplified
from thresher.operators.captions.language.words import HAN, quoted, stopped, word_set
from thresher.operators.captions.record import CaptionRecord, Claim, Entity, Text, joined
from thresher.operators.captions.taxonomy import Lang

_STOPS = " \n\t,，、;；.。"
_END = regex.compile(r"[.!?。！？…][\"'”’」』)）]*$")
_DETERMINERS = word_set(
    """
    the a an this that these those its his her their our my your some any each every another no one
    """
)
_LINKS = word_set(
    """
    of in on at by to from with near behind beside beneath under over above below around inside outside
    between past toward towards across along and or but is are was were as like called named for into
    onto
    """
)
_MAKERS = word_set("brand company organisation organization logo product team")
"""Types of names that stand before a noun as often as alone."""
_NOUN = regex.compile(
    r"\s+(?!(?:is|are|was|were|has|have|stands?|shows?|of|in|on|at|by|to|from|with|and|or|but|that|which|who|near|under|over|behind|beside|for|as|while|against|above|below|across|along|into|onto)\b)\p{Ll}"
)
_VOWEL = regex.compile(r"(?i)[aeiou]")
_ARTICLE = regex.compile(r"(?i)\b(a)n?(\s+)$")
_LAST_WORDS = regex.compile(r"(?:([\p{L}'’-]+)\s+)?([\p{L}'’-]+)\s+$")
_UNKNOWN_TYPE = ("thing", "事物")


def without(record: CaptionRecord, claims: Collection[str]) -> CaptionRecord:
    """The record whose texts no longer make `claims`; `judged` must look at it again.

    A sentence that made one is replaced by the words of its other claims, each a sentence, unless another
    sentence of the text makes them too; with no other claim it goes. The claims stay in `claims` with their
    verdicts, and their ids join `abstained`. Ids that are not in the record are ignored.
    """
    gone = frozenset(claims)
    known = {claim.id: claim for claim in record.claims}
    texts = tuple(_cut(text, gone, known) for text in record.texts)
    left_out = [claim.id for claim in record.claims if claim.id in gone]
    return record.model_copy(update={"texts": texts, "abstained": _joining(record, left_out)})


def unnamed(record: CaptionRecord, entity_id: str) -> CaptionRecord:
    """The record that calls an entity by its type, in every written text and claim; its claims are `unsure`.

    Quotes stay, since they are what is written in the picture. The id joins `abstained`. Raises KeyError.
    """
    entity = next((e for e in record.facts.entities if e.id == entity_id), None)
    if entity is None:
        raise KeyError(entity_id)
    texts = tuple(text if text.level == "raw" else _text_unnamed(text, entity) for text in record.texts)
    claims = tuple(_claim_unnamed(claim, entity) for claim in record.claims)
    abstained = _joining(record, [entity_id])
    return record.model_copy(update={"texts": texts, "claims": claims, "abstained": abstained})


def _cut(text: Text, gone: frozenset[str], known: dict[str, Claim]) -> Text:
    if not gone.intersection(text.claims):
        return text
    sentences = [(said.strip(_STOPS if text.level == "tags" else None), made) for said, made in parts(text)]
    kept = {claim for _, made in sentences if not gone.intersection(made) for claim in made}
    built: list[tuple[str, tuple[str, ...]]] = []
    for said, made in sentences:
        if not gone.intersection(made):
            built.append((said, made))
            continue
        for claim in made:
            if claim in gone or claim in kept or claim not in known or text.lang not in known[claim].text:
                continue
            kept.add(claim)
            built.append((_sentence(known[claim].text[text.lang], text), (claim,)))
    built = [(said, made) for said, made in built if said]
    made_of = joined(built, text.lang, text.level == "tags")
    return text.model_copy(update=made_of)


def _sentence(words: str, text: Text) -> str:
    """The words of a claim as a sentence, or as an item of tags."""
    said = words.strip(_STOPS if text.level == "tags" else None)
    if not said or text.level == "tags":
        return said
    said = said[0].upper() + said[1:] if text.lang == "en" else said
    return stopped(said, text.lang)


def _joining(record: CaptionRecord, ids: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*record.abstained, *ids]))


def _text_unnamed(text: Text, entity: Entity) -> Text:
    held, sentences = "", []
    for said, made in parts(text):
        held += _renamed(said, entity, text.lang, opens=not held.strip() or bool(_END.search(held.strip())))
        sentences.append({"end": len(held), "claims": made})
    if held == text.text:
        return text
    changed: dict[str, Any] = {"text": held, "sentences": sentences}
    return Text.model_validate(text.model_dump() | changed)


def _claim_unnamed(claim: Claim, entity: Entity) -> Claim:
    about = claim.value is not None and claim.value.entity == entity.id
    if not about and not any(named(said, entity) for said in claim.text.values()):
        return claim
    said = {lang: _renamed(words, entity, lang, opens=False) for lang, words in claim.text.items()}
    value = claim.value.model_copy(update={"entity": None}) if claim.value and about else claim.value
    changed = {"text": said, "value": value, "verdict": "unsure", "p": None, "t": None, "verifier": ""}
    return claim.model_copy(update=changed)


def _renamed(text: str, entity: Entity, lang: Lang, opens: bool) -> str:
    """The text with each name of an entity outside quotes replaced by its type; a name in brackets goes."""
    kind = _type(entity, lang)
    found = [forms(name) for name in sorted(entity.name.values(), key=len, reverse=True)]
    for name in (pattern.pattern for pattern in found if pattern):
        text = _outside_quotes(
            text, regex.compile(rf"\s*[(（]\s*(?:{name})\s*[)）]"), "", entity, lang, opens
        )
        text = _outside_quotes(
            text, regex.compile(rf"《\s*(?:{name})\s*》|{name}"), kind, entity, lang, opens
        )
    return text


def _outside_quotes(
    text: str, sought: regex.Pattern[str], kind: str, entity: Entity, lang: Lang, opens: bool
) -> str:
    spans = quoted(text)
    built, start = "", 0
    for match in sought.finditer(simplified(text)):
        if any(quote.start < match.end() and match.start() < quote.end for quote in spans):
            continue
        built += text[start : match.start()]
        after = text[match.end() :]
        start = match.end()
        if not kind:
            continue
        if again := regex.match(rf"\s*{regex.escape(kind)}(?!\p{{Latin}})", after):
            start += again.end()
            after = after[again.end() :]
        before_noun = after.startswith("-") or bool(entity.type.casefold() in _MAKERS and _NOUN.match(after))
        built = _with_article(built, kind, opens, before_noun) if lang == "en" else built + kind
    return built + text[start:]


def _with_article(before: str, kind: str, opens: bool, before_noun: bool) -> str:
    """`before` and the noun, with an article unless a determiner stands before it (`the old ...`), or it
    belongs to a noun after it, whose article nobody knows (`Nike socks`)."""
    article = "an" if _VOWEL.match(kind) else "a"
    if _ARTICLE.search(before):
        return _ARTICLE.sub(lambda m: m[1] + article[1:] + m[2], before) + kind
    last = _LAST_WORDS.search(before)
    farther, nearer = ((last[1] or "").casefold(), last[2].casefold()) if last else ("", "")
    if nearer in _DETERMINERS or (farther in _DETERMINERS and nearer not in _LINKS):
        return before + kind
    begins = (opens and not before.strip()) or bool(_END.search(before.strip()))
    if before_noun:
        return before + (kind[0].upper() + kind[1:] if begins else kind)
    return before + (article.capitalize() if begins else article) + " " + kind


def _type(entity: Entity, lang: Lang) -> str:
    """What a thing of its type is called; the type itself where it is not listed, in its language."""
    known = TYPES.get(entity.type.strip().casefold())
    if known:
        return known[0 if lang == "en" else 1]
    han = bool(HAN.search(entity.type))
    if entity.type.strip() and han == (lang == "zh"):
        return entity.type.strip().replace("_", " ")
    return _UNKNOWN_TYPE[0 if lang == "en" else 1]
