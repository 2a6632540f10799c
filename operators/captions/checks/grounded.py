"""`grounded`: a sentence gives no number, quote, colour or name that its claims do not hold."""

from collections.abc import Sequence

from thresher.operators.captions.checks.entities import common, named, names, stands
from thresher.operators.captions.checks.ocr import plain
from thresher.operators.captions.checks.sentences import parts
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language import colours, numbers
from thresher.operators.captions.language.words import quotes, unquoted
from thresher.operators.captions.record import CaptionRecord, Claim, Text

LEAST = 1.0
"""Share that the claims hold: a text may say less than its claims, never more. Ours."""


def grounded(text: Text, record: CaptionRecord) -> Finding:
    """Share of the numbers, quotes, colours and names of a text that the claims of their sentence hold; None
    of a text that was not written from claims."""
    if text.level == "raw":
        return Finding("grounded", True)
    claims = {claim.id: claim for claim in record.claims}
    said, missed, places = 0, [], []
    for place, (sentence, made) in enumerate(parts(text)):
        fully, lacking = _sentence(sentence, text, [claims[c] for c in made if c in claims], record)
        said += fully
        missed += lacking
        places += [place] if lacking else []
    if not said:
        return Finding("grounded", True)
    told = f"said but not claimed: {', '.join(missed)}"
    share = 1 - len(missed) / said
    return Finding("grounded", not missed, share, told if missed else "", True, tuple(places))


def _sentence(
    sentence: str, text: Text, made: Sequence[Claim], record: CaptionRecord
) -> tuple[int, list[str]]:
    """How much a sentence says that must be claimed, and what of it is not."""
    shown = unquoted(sentence)
    held = " . ".join(said for claim in made for said in claim.text.values())
    values = [claim.value for claim in made if claim.value is not None]
    counts = numbers.possible(held) | {float(v.count) for v in values if v.count is not None}
    tints = colours.possible(held + " " + " ".join(v.colour or "" for v in values))
    lines = plain(held + " " + " ".join(v.text or "" for v in values))
    number, colour = numbers.sure(sentence, text.lang), colours.sure(shown)
    quote = [line for said in quotes(sentence) if (line := plain(said))]
    known = [e for e in record.facts.entities if named(shown, e)]
    about = {v.entity for v in values}
    called = [name for name in names(sentence, text.level == "tags") if not common(name)]
    spoken = held + " " + " ".join(n for e in record.facts.entities if e.id in about for n in e.name.values())
    lacking = [f"{n:g}" for n in sorted(number - counts)]
    lacking += colours.unsaid(shown, tints)
    lacking += [repr(line) for line in quote if line not in lines]
    lacking += [repr(name) for name in called if not stands(name, spoken)]
    lacking += [repr(e.id) for e in known if e.id not in about and not named(held, e)]
    return len(number) + len(colour) + len(quote) + len(called) + len(known), lacking
