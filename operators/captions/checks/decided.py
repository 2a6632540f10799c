"""Claims that facts decide, so that no model need be asked: counts of things, colours of the picture."""

from collections.abc import Collection
from typing import Any, NamedTuple

from thresher.operators.captions.checks import wording
from thresher.operators.captions.checks.levels import kinds
from thresher.operators.captions.checks.ocr import matches, plain
from thresher.operators.captions.language import colours
from thresher.operators.captions.record import CaptionRecord, Claim, Facts, Value
from thresher.operators.captions.taxonomy import SURE, SURE_ELSE, Verdict

VERIFIER = "facts"
PICTURE = frozenset({"picture", "image", "photo", "photograph", "palette", "scene"})
"""Labels of claims about the picture as a whole, of which alone a palette can tell."""
NEUTRAL = frozenset({"black", "white", "grey"})
SHARES: dict[wording.Extent, float] = {"most": 0.5, "some": 0.1}
"""Share of the picture above which a colour is most of it, and from which it is one of its colours. Ours."""


_KIN = (
    *(("red", other) for other in ("orange", "pink", "brown", "purple")),
    *(("orange", other) for other in ("yellow", "brown", "pink")),
    *(("yellow", other) for other in ("green", "brown", "white")),
    *(("blue", other) for other in ("green", "purple", "grey", "black")),
    *(("purple", other) for other in ("pink", "brown", "black")),
    *(("grey", other) for other in ("black", "white", "brown", "green")),
    *(("black", other) for other in ("brown", "green")),
    ("pink", "white"),
)
"""Colours between which people and instruments draw the line in different places."""


class Found(NamedTuple):
    """A verdict, the probability that the claim is true, and the facts that decide."""

    verdict: Verdict
    p: float | None
    facts: tuple[str, ...]


def agreement(record: CaptionRecord) -> CaptionRecord:
    """The record with verdicts of the verifier `facts` on claims that nobody judged and that facts decide.

    A count is supported if a detector counts the same, or as many faces were found; refuted if it is lower
    than what a detector is sure of, in a claim about nothing but a count: a detector may miss things, but
    those it is sure of are there. One thing is never refuted: `a dog` and `一只狗` are true of two. A colour
    of the whole picture is supported if the palette has enough of it, refuted as the colour of most of it if
    the palette has none that could be called so; any colour is refuted in a grey picture. Quoted text is
    supported if it was read just so; text that was not read may have been overlooked. A fact must be as
    sure as the field asks.

    Facts decide a claim only where its words in every language say no more than its value (`wording`), and
    of colours only those that a palette names: beige may be its white or its yellow. The facts that decide
    join its provenance.
    """
    claims = tuple(claim if claim.verifier else _decided(claim, record.facts) for claim in record.claims)
    return record.model_copy(update={"claims": claims})


def _decided(claim: Claim, facts: Facts) -> Claim:
    if claim.value is None:
        return claim
    t = SURE.get(claim.field, SURE_ELSE)
    measured = {one.column: one.value for one in facts.measured}
    found = _count(claim, claim.value, facts, measured, t) or _colour(claim, claim.value, measured)
    found = found or _text(claim, claim.value, facts, t)
    if found is None:
        return claim
    rests = tuple(dict.fromkeys((*claim.provenance, *found.facts)))
    update = {"verdict": found.verdict, "p": found.p, "t": t, "verifier": VERIFIER, "provenance": rests}
    return claim.model_copy(update=update)


def _count(claim: Claim, value: Value, facts: Facts, measured: dict[str, Any], t: float) -> Found | None:
    """What is found if things of its label were counted."""
    if value.count is None or not value.label or value.position or value.colour:
        return None
    label = value.label.casefold().strip()
    if label in ("face", "faces") and measured.get("faces") == value.count:
        plainly = wording.counts(claim.text, value.count, "face")
        return Found("supported", None, ("column:faces",)) if plainly else None
    for thing in facts.objects:
        if kinds(thing.label, people=False) != kinds(label, people=False):
            continue
        if not wording.counts(claim.text, value.count, thing.label):
            continue
        if thing.count == value.count and (thing.p is None or thing.p >= t):
            return Found("supported", thing.p, (f"object:{thing.id}",))
        if claim.field == "count" and 1 < value.count < thing.count and (thing.p or 0) >= t:
            return Found("refuted", round(1 - (thing.p or 0), 6), (f"object:{thing.id}",))
    return None


def _colour(claim: Claim, value: Value, measured: dict[str, Any]) -> Found | None:
    colour, label = (value.colour or "").casefold(), (value.label or "").casefold()
    if colour not in colours.NAMES:
        return None
    how = wording.extent(claim.text, colour)
    if measured.get("is_gray") is True and colour not in NEUTRAL:
        plainly = how is not None or wording.coloured(claim.text, colour, label)
        return Found("refuted", None, ("column:is_gray",)) if plainly else None
    palette = str(measured.get("palette", ""))
    if not palette or value.position or label not in PICTURE or how is None:
        return None
    entries = [entry.rpartition(" ") for entry in palette.split(", ")]
    shares = {name: float(share) for name, _, share in entries}
    if how == "most" and not near(colours.possible(colour)) & colours.possible(" ".join(shares)):
        return Found("refuted", None, ("column:palette",))
    share = shares.get(colour, 0.0)
    enough = share > SHARES[how] if how == "most" else share >= SHARES[how]
    return Found("supported", None, ("column:palette",)) if enough else None


def near(said: Collection[str]) -> set[str]:
    """Colours, and those that people may call by the same name: only beyond these does a palette refute."""
    return {*said, *(other for pair in _KIN for one, other in (pair, pair[::-1]) if one in said)}


def _text(claim: Claim, value: Value, facts: Facts, t: float) -> Found | None:
    """What is found if a line, or a run of lines, was read to the letter."""
    if claim.field != "ocr" or value.position or not wording.quotes(claim.text, value.text or ""):
        return None
    for match in matches(f"“{value.text or ''}”", facts.ocr):
        read = "".join(line.text for line in match.lines)
        p = min((line.conf for line in match.lines), default=0.0)
        if plain(read) == plain(match.quote) and p >= t:
            return Found("supported", p, tuple(f"ocr:{line.id}" for line in match.lines))
    return None
