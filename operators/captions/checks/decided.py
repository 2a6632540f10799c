"""Claims that facts decide, so that no model need be asked: counts of things, colours of the picture."""

from typing import Any

from thresher.operators.captions.checks import colours
from thresher.operators.captions.checks.levels import kinds
from thresher.operators.captions.checks.ocr import matches, plain
from thresher.operators.captions.record import CaptionRecord, Claim, Facts, Value
from thresher.operators.captions.taxonomy import SURE, SURE_ELSE, Verdict

VERIFIER = "facts"
PICTURE = frozenset({"picture", "image", "photo", "photograph", "palette", "scene"})
"""Labels of claims about the picture as a whole, of which alone a palette can tell."""
NEUTRAL = frozenset({"black", "white", "grey"})


def agreement(record: CaptionRecord) -> CaptionRecord:
    """The record with verdicts of the verifier `facts` on claims that nobody judged and that facts decide.

    A count is supported if a detector counts the same, or as many faces were found; refuted if it is lower
    than what a detector is sure of, in a claim about nothing but a count: a detector may miss things, but
    those it is sure of are there. A colour of the whole picture is supported if the palette has it, refuted
    if it does not; any colour is refuted in a grey picture. Quoted text is supported if it was read just so;
    text that was not read may have been overlooked. A fact must be as sure as the claim's field asks.
    """
    claims = tuple(claim if claim.verifier else _decided(claim, record.facts) for claim in record.claims)
    return record.model_copy(update={"claims": claims})


def _decided(claim: Claim, facts: Facts) -> Claim:
    if claim.value is None:
        return claim
    t = SURE.get(claim.field, SURE_ELSE)
    measured = {one.column: one.value for one in facts.measured}
    found = _count(claim, claim.value, facts, measured, t) or _colour(claim.value, measured)
    found = found or _text(claim, claim.value, facts, t)
    if found is None:
        return claim
    verdict, p = found
    return claim.model_copy(update={"verdict": verdict, "p": p, "t": t, "verifier": VERIFIER})


def _count(
    claim: Claim, value: Value, facts: Facts, measured: dict[str, Any], t: float
) -> tuple[Verdict, float | None] | None:
    """The verdict and the probability that the claim is true, if things of its label were counted."""
    if value.count is None or not value.label or value.position or value.colour:
        return None
    label = value.label.casefold().strip()
    if label in ("face", "faces") and measured.get("faces") == value.count:
        return "supported", None
    for thing in facts.objects:
        if kinds(thing.label, people=False) != kinds(label, people=False):
            continue
        if thing.count == value.count and (thing.p is None or thing.p >= t):
            return "supported", thing.p
        if claim.field == "count" and value.count < thing.count and (thing.p or 0) >= t:
            return "refuted", round(1 - (thing.p or 0), 6)
    return None


def _colour(value: Value, measured: dict[str, Any]) -> tuple[Verdict, float | None] | None:
    said = colours.possible(value.colour or "")
    if not said:
        return None
    if measured.get("is_gray") is True and not said & NEUTRAL:
        return "refuted", None
    palette = str(measured.get("palette", ""))
    if not palette or value.position or (value.label or "").casefold() not in PICTURE:
        return None
    names = {entry.rpartition(" ")[0] for entry in palette.split(", ")}
    if (value.colour or "").casefold() in names:
        return "supported", None
    near = colours.possible(" ".join(names))
    return None if said & near else ("refuted", None)


def _text(claim: Claim, value: Value, facts: Facts, t: float) -> tuple[Verdict, float | None] | None:
    """The verdict if a line, or a run of lines, was read to the letter."""
    if claim.field != "ocr" or value.position:
        return None
    for match in matches(f"“{value.text or ''}”", facts.ocr):
        read = "".join(line.text for line in match.lines)
        p = min((line.conf for line in match.lines), default=0.0)
        if plain(read) == plain(match.quote) and p >= t:
            return "supported", p
    return None
