"""The measures: for each record a sum and a count, whose ratio over all records is the value."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from thresher.operators.captions.checks import record_findings, text_findings
from thresher.operators.captions.language.words import count
from thresher.operators.captions.record import Claim
from thresher.pipelines.captions.verdicts import by_id, looked
from thresher.pipelines.captions.words import words
from thresher.pipelines.evaluate.texts import Scored

Better = Literal["higher", ""]


class Ratio(NamedTuple):
    """Of one record."""

    sum: float
    among: float


Ratios = dict[str, Ratio]
"""Measure -> ratio; a measure that says nothing of the record is absent."""

PRECISION = "claims supported"
AMOUNTS = ("claims", "similarity", "rating", "words")
"""Measures that are no shares."""
MEANINGS: dict[str, tuple[str, Better]] = {
    PRECISION: (
        "of the claims that the captioner made and that are supported or refuted, those supported",
        "higher",
    ),
    "claims decided": (
        "of all claims that the captioner made, the share that is supported or refuted",
        "higher",
    ),
    "claims": ("claims that a record's texts make, after checks took some out", ""),
    "similarity": ("cosine of text and picture, by `clip_score`", "higher"),
    "rating": ("what people gave; good is 1, bad 0", "higher"),
    "claims not wrong": ("of the claims that people looked at, the share that none marked wrong", "higher"),
    "words": ("words of a text; Chinese characters each count as one", ""),
    "own word pairs": ("pairs of neighbouring words that no other record's text has", "higher"),
}


def meaning(name: str) -> tuple[str, Better]:
    """What a measure is, and whether more of it is better."""
    if name in MEANINGS:
        return MEANINGS[name]
    return f"texts that pass the check `{name.removeprefix('passes ')}`", "higher"


def ratios(scored: Sequence[Scored | None], advance: Callable[[int], None]) -> list[Ratios]:
    """All measures of each record but people's; `advance` is told of each record."""
    found: list[Ratios] = []
    for one, pairs in zip(scored, _own_pairs(scored), strict=True):
        more = [*_checks(one), *_claims(one), *_similarity(one), *_words(one)] if one else []
        found.append(dict([*more, *pairs]))
        advance(1)
    return found


def claims_of(scored: Scored) -> list[Claim]:
    """The claims that its texts still make, each once, without those that a check took out."""
    known, gone = by_id(scored.record), {*scored.record.abstained}
    names = dict.fromkeys(name for text in scored.texts for name in text.claims)
    return [known[name] for name in names if name in known and name not in gone]


def _checks(one: Scored) -> Iterator[tuple[str, Ratio]]:
    findings = [f for text in one.texts for f in text_findings(one.record, text)]
    if len(one.texts) > 1:
        findings += record_findings(one.record)
    judged = Counter(f.check for f in findings if f.value is not None or not f.ok)
    passed = Counter(f.check for f in findings if f.value is not None and f.ok)
    for check, n in judged.items():
        yield f"passes {check}", Ratio(passed[check], n)


def _claims(one: Scored) -> Iterator[tuple[str, Ratio]]:
    """Verdicts are of all claims as they were made: what `caption.check` refuted is in no text any more, and
    a captioner that was often wrong would seem never to be."""
    if not one.made:
        return
    verdicts = Counter(looked(claim) for claim in one.made if claim.verifier)
    decided = verdicts["supported"] + verdicts["refuted"]
    if verdicts:
        yield "claims decided", Ratio(decided, len(one.made))
    if decided:
        yield PRECISION, Ratio(verdicts["supported"], decided)
    yield "claims", Ratio(len(claims_of(one)), 1)


def _similarity(one: Scored) -> Iterator[tuple[str, Ratio]]:
    if one.similar:
        yield "similarity", Ratio(sum(one.similar.values()), len(one.similar))


def _words(one: Scored) -> Iterator[tuple[str, Ratio]]:
    if one.texts:
        yield "words", Ratio(sum(count(t.text, t.lang, t.level) for t in one.texts), len(one.texts))


def _own_pairs(scored: Sequence[Scored | None]) -> list[list[tuple[str, Ratio]]]:
    """A caption that could stand below any picture has few pairs of words of its own."""
    held = [{p for t in one.texts for p in pairwise(words(t.text))} if one else set() for one in scored]
    shared = Counter(pair for pairs in held for pair in pairs)
    return [
        [("own word pairs", Ratio(sum(shared[p] == 1 for p in pairs), len(pairs)))] if pairs else []
        for pairs in held
    ]


def ordered(names: Iterable[str]) -> list[str]:
    """Measures as they are shown: verdicts, people, similarity, words, then checks by name."""
    return sorted(names, key=lambda name: (list(MEANINGS).index(name) if name in MEANINGS else 99, name))


def merged(all_: Sequence[Ratios], more: Sequence[Mapping[str, Ratio]]) -> list[Ratios]:
    """Both measures of each record."""
    return [{**a, **b} for a, b in zip(all_, more, strict=True)]
