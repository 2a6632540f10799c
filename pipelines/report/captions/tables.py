"""What the section counts over the sampled records: each table is rows of short texts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from thresher.operators.captions.columns import failed_check
from thresher.operators.captions.record import CaptionRecord, Claim
from thresher.operators.captions.taxonomy import LANGS, WRITTEN
from thresher.operators.captions.verify.abstention import ALL, LEVELS, risk_coverage
from thresher.operators.captions.verify.decoys import MOST_YES
from thresher.pipelines.captions.verdicts import looked
from thresher.pipelines.captions.words import opening
from thresher.pipelines.report.captions.cards import cut
from thresher.pipelines.report.numbers import number, percent

K = TypeVar("K", str, tuple[str, str])
MOST_ROWS = 40
TEMPLATE = 0.05
"""Above this share of equal openings a captioner writes by a template (ours)."""
_VERDICTS = ("supported", "refuted", "unsure", "unseen")


class Table(NamedTuple):
    """Rows below their names. Columns from `text` on hold numbers."""

    title: str
    lead: str
    names: tuple[str, ...]
    rows: list[list[str]]
    more: int = 0
    """Rows that are left out."""
    warning: str = ""
    text: int = 1
    """How many columns hold words."""


class Captioned(NamedTuple):
    """A caption record, and where it is from."""

    source: str
    bucket: str
    record: CaptionRecord


def tables(found: Sequence[Captioned]) -> Iterator[Table]:
    """All tables of one caption column that have a row."""
    made = (_levels, _failures, _abstention, _risk, _decoys, _provenance, _openings)
    yield from (table for make in made if (table := make(found)).rows)


def _levels(found: Sequence[Captioned]) -> Table:
    counts = Counter((t.lang, t.level, t.status) for c in found for t in c.record.texts)
    rows = []
    for lang in LANGS:
        for level in ("raw", *WRITTEN):
            held = [counts[lang, level, status] for status in ("pass", "fail", "abstain")]
            if any(held):
                rows.append([lang, level, *map(number, (sum(held), *held)), percent(held[0], sum(held))])
    names = ("language", "level", "texts", "passed", "failed", "abstained", "share passed")
    lead = "Only texts that passed get a column of their own; a failed one costs itself, not the record."
    without = sum(failed_check(c.record) is not None for c in found)
    warning = (
        f"{number(without)} of {number(len(found))} records have no text that passed." if without else ""
    )
    return Table("Texts by language and level", lead, names, rows, warning=warning, text=2)


def _failures(found: Sequence[Captioned]) -> Table:
    counts = Counter(name for c in found for t in c.record.texts for name in t.fails)
    texts = sum(len(c.record.texts) for c in found)
    rows = [[cut(name), number(n), percent(n, texts)] for name, n in _ordered(counts)]
    names = ("check", "texts", "share of all")
    return _bounded("Failures by check", "A text may fail several.", names, rows)


def _abstention(found: Sequence[Captioned]) -> Table:
    asked, left = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for c in found:
        claims = {claim.id: claim.field for claim in c.record.claims}
        gone = {*c.record.abstained}
        for claim in c.record.claims:
            asked[c.source, claim.field] += 1
            left[c.source, claim.field] += claim.id in gone or looked(claim) == "unsure"
        for name in gone - {*claims}:
            field = "entity" if any(e.id == name for e in c.record.facts.entities) else _of_record(name)
            left[c.source, field] += 1
            asked[c.source, field] += field == "entity"
    records = Counter(c.source for c in found)
    rows = []
    for (source, field), n in _ordered(left):
        total = asked[source, field] or records[source]
        rows += [[cut(source), cut(field), number(total), number(n), percent(n, total)]] if n else []
    names = ("source", "field", "asked", "abstained", "share")
    lead = "What a captioner or verifier was not sure enough of: the claim goes, the record stays."
    return _bounded("Abstention by source and field", lead, names, rows, text=2)


def _of_record(name: str) -> str:
    """What is asked once for each record: a field of its style, or a text such as `zh.long`."""
    return f"level: {name}" if "." in name else f"style: {name}"


def _risk(found: Sequence[Captioned]) -> Table:
    fields = risk_coverage(c.record for c in found)["fields"]
    rows = []
    for field in sorted(fields, key=lambda name: (name != ALL, name)):
        held = fields[field]
        if held["by_model"]:
            counts = [number(held[name]) for name in ("supported", "refuted", "unsure", "by_model")]
            points = [_share(x) for point in held["at"].values() for x in (point["coverage"], point["risk"])]
            rows.append([field, *counts, *points])
    at = (f"{what} at {t:g}" for t in LEVELS for what in ("coverage", "risk"))
    names = ("about", "supported", "refuted", "unsure", "asked", *at)
    lead = (
        "Coverage: the share of the claims that a model was asked whose probability is at least 0.5, 0.75 or "
        "0.9; risk: how many of those are wrong if the probabilities are right."
    )
    return Table("Risk and coverage", lead, names, rows)


def _decoys(found: Sequence[Captioned]) -> Table:
    report = risk_coverage(c.record for c in found)
    decoys, distrusted = report["decoys"], report["distrusted"]
    rows = []
    if decoys["asked"]:
        rows.append(["decoys", number(decoys["asked"]), number(decoys["yes"]), _share(decoys["rate"])])
    rows += [[f"claims not judged by {cut(name)}", number(n), "–", "–"] for name, n in distrusted.items()]
    claims = [claim for c in found for claim in c.record.claims]
    own = Counter(claim.verifier for claim in claims if f"vlm:{claim.verifier}" in claim.provenance)
    rows += [
        [f"claims judged by {cut(name)}, which made them", number(n), "–", "–"] for name, n in _ordered(own)
    ]
    names = ("what", "number", "called true", "share")
    lead = "Decoys are claims that are false of the picture; a verifier that calls them true sees little."
    warnings = [f"{cut(name)} failed its test: none of its verdicts is used." for name in distrusted]
    warnings += [f"{cut(name)} judged its own claims: it shares its blind spots." for name in own]
    if decoys["trusted"] is False and not distrusted:
        warnings.append(
            f"More than {number(100 * MOST_YES)} % of the decoys were called true: do not use the verdicts."
        )
    return Table("Is the verifier to be trusted?", lead, names, rows, warning=" ".join(warnings))


def _provenance(found: Sequence[Captioned]) -> Table:
    counts, kinds = Counter[tuple[str, str]](), Counter[str]()
    for claim in (claim for c in found for claim in c.record.claims):
        kinds.update(_kinds(claim))
        counts.update((kind, looked(claim)) for kind in _kinds(claim))
    rows = [
        [cut(kind), number(n), *(number(counts[kind, verdict]) for verdict in _VERDICTS)]
        for kind, n in _ordered(kinds)
    ]
    names = ("rests on", "claims", "supported", "refuted", "unsure", "not looked at")
    lead = "A claim may rest on several: a model that saw it, and a fact that bears it out."
    return _bounded("Claims by provenance", lead, names, rows)


def _kinds(claim: Claim) -> set[str]:
    """`vlm:MODEL` and `column:NAME` as they are; of other facts the kind without its id."""
    names = (name.partition(":") for name in claim.provenance)
    kinds = {kind + sep + rest if kind in ("vlm", "column") else kind for kind, sep, rest in names}
    return kinds or {"nothing"}


def _openings(found: Sequence[Captioned]) -> Table:
    by: dict[tuple[str, str], Counter[str]] = {}
    totals = Counter[tuple[str, str]]()
    for text in (t for c in found for t in c.record.passed() if t.level not in ("raw", "tags")):
        totals[text.lang, text.level] += 1
        if first := opening(text.text):
            by.setdefault((text.lang, text.level), Counter())[first] += 1
    rows, templated = [], []
    for key in sorted(by):
        first, n = min(by[key].items(), key=lambda item: (-item[1], item[0]))
        if n > 1 and n / totals[key] > TEMPLATE:
            templated.append(f"{key[0]} {key[1]}")
        rows.append([*key, cut(first), number(totals[key]), number(n), percent(n, totals[key])])
    names = ("language", "level", "most frequent first five words", "texts", "begin so", "share")
    warning = (
        f"More than {number(100 * TEMPLATE)} % begin alike: {', '.join(templated)}." if templated else ""
    )
    return Table("Same first words", "", names, rows, warning=warning, text=3)


def _share(value: float | None) -> str:
    return "–" if value is None else percent(round(10_000 * value), 10_000)


def _bounded(title: str, lead: str, names: tuple[str, ...], rows: list[list[str]], text: int = 1) -> Table:
    return Table(title, lead, names, rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS), text=text)


def _ordered(counts: Counter[K]) -> list[tuple[K, int]]:
    """Most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
