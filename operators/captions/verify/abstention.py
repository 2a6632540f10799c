"""What verifying cost and what it left: coverage and risk by field, and the decoys, over stored records."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from thresher.operators.captions.record import CaptionRecord
from thresher.operators.captions.verify.claims import DISTRUSTED, judged_by_a_model
from thresher.operators.captions.verify.decoys import MOST_YES

LEVELS = (0.5, 0.75, 0.9)
"""The confidence targets of arXiv 2509.04664: mood, attributes, names and counts."""
ALL = "all"


def risk_coverage(records: Iterable[CaptionRecord]) -> dict[str, Any]:
    """JSON-ready: `fields`, `decoys` and `distrusted` of records that `caption.check` went over.

    `fields`: field (and `all`) -> `claims`, `supported`, `refuted`, `unsure`, `by_model`, and `at`: for t of
    0.5, 0.75 and 0.9 the `coverage` (share of the claims that a model was asked whose p is at least t) and
    the `risk` (mean of 1 - p over those, null without any: what is wrong of them if p is calibrated).
    `decoys`: `asked`, `yes`, `rate` and `trusted`, pooled; the last is null where none was asked.
    `distrusted`: verifier -> claims that it was not asked.
    """
    verdicts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    sure: defaultdict[str, list[float]] = defaultdict(list)
    distrusted: Counter[str] = Counter()
    asked = yes = 0.0
    for record in records:
        asked += record.checks.get("decoys") or 0
        yes += record.checks.get("decoy_yes") or 0
        for claim in record.claims:
            for name in (claim.field, ALL):
                verdicts[name][claim.verdict] += 1
                if judged_by_a_model(claim) and claim.p is not None:
                    sure[name].append(claim.p)
            if claim.verifier.startswith(DISTRUSTED):
                distrusted[claim.verifier.removeprefix(DISTRUSTED)] += 1
    fields = {name: _field(verdicts[name], sure[name]) for name in sorted(verdicts)}
    rate = yes / asked if asked else None
    trusted = None if rate is None else rate <= MOST_YES and not distrusted
    pooled = {"asked": int(asked), "yes": int(yes), "rate": rate, "trusted": trusted}
    return {"fields": fields, "decoys": pooled, "distrusted": dict(sorted(distrusted.items()))}


def _field(verdicts: Counter[str], sure: list[float]) -> dict[str, Any]:
    at = {}
    for t in LEVELS:
        kept = [p for p in sure if p >= t]
        risk = sum(1 - p for p in kept) / len(kept) if kept else None
        at[f"{t:g}"] = {"coverage": len(kept) / len(sure) if sure else None, "risk": risk}
    counts = {verdict: verdicts[verdict] for verdict in ("supported", "refuted", "unsure")}
    return {"claims": verdicts.total(), **counts, "by_model": len(sure), "at": at}
