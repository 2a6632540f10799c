"""What became of the claims of a sentence."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from thresher.operators.captions.checks.grounded import grounded
from thresher.operators.captions.record import CaptionRecord, Claim, Text

Looked = Literal["supported", "refuted", "unsure", "unseen", "none"]
"""A verdict; `unseen`: nobody looked at it; `none`: a sentence without a claim."""

_WORST: tuple[Looked, ...] = ("refuted", "unsure", "unseen", "supported", "none")
"""A sentence is as bad as the first of these among its claims."""


class Stretch(NamedTuple):
    """A sentence of a text as it is shown."""

    text: str
    looked: Looked
    claims: list[Claim]


def looked(claim: Claim) -> Looked:
    """The claim's verdict, if somebody gave one."""
    return claim.verdict if claim.verifier or claim.verdict != "unsure" else "unseen"


def stretches(text: Text, record: CaptionRecord) -> Iterator[Stretch]:
    """The text in its sentences; characters behind the last one are a stretch without a claim.

    A sentence that says more than its claims wears no verdict of theirs: nobody looked at the rest.
    """
    claims = by_id(record)
    beyond = grounded(text, record).sentences if "grounded" in text.fails else ()
    for place, (said, names) in enumerate(text.parts()):
        made = [claims[name] for name in names if name in claims]
        worst: Looked = min((looked(c) for c in made), key=_WORST.index, default="none")
        if place in beyond and worst == "supported":
            worst = "unseen"
        yield Stretch(said, worst, made)
    if rest := text.text[max((s.end for s in text.sentences), default=0) :]:
        yield Stretch(rest, "none", [])


def by_id(record: CaptionRecord) -> dict[str, Claim]:
    """Id -> claim."""
    return {claim.id: claim for claim in record.claims}
