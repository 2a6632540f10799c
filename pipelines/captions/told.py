"""A caption record as lines for a terminal."""

from collections.abc import Iterator

from thresher.operators.captions.record import CaptionRecord, Claim
from thresher.pipelines.captions.verdicts import looked


def told(record: CaptionRecord) -> Iterator[str]:
    """Each text whole, with the checks that it failed; then each claim with its verdict and probability."""
    for text in record.texts:
        failed = f" failed {', '.join(text.fails)}" if text.fails else ""
        yield f"{text.lang}.{text.level}{failed}: {text.text}"
    for claim in record.claims:
        yield f"{claim.id} {claim.field}: {' / '.join(claim.text.values())} ({_verdict(claim)})"


def _verdict(claim: Claim) -> str:
    if (verdict := looked(claim)) == "unseen":
        return "nobody looked at it"
    p = "" if claim.p is None else f", p {claim.p:.2f}"
    return f"{verdict}{p}" + (f", by {claim.verifier}" if claim.verifier else "")
