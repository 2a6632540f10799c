"""How much of the texts no person wrote, and how much one captioner wrote, by bucket."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from thresher.pipelines.report.captions.cards import cut
from thresher.pipelines.report.captions.tables import MOST_ROWS, Table
from thresher.pipelines.report.numbers import number, percent

SYNTHETIC, SINGLE = 0.9, 0.6
"""Above these shares the page warns: keep human text on a tenth of the samples, and let no captioner write
more than three fifths (ours; arXiv 2510.01631 finds the best share of rephrased text near 0.3)."""
PEOPLE = "people"


class Drawn(NamedTuple):
    """One record: its bucket, how much of its text is synthetic, and who wrote how much of it."""

    bucket: str
    synthetic: float | None
    by: Mapping[str, float]
    """Captioner -> share; they sum to 1."""


def drawn(values: Mapping[str, Any], bucket: str, texts: Sequence[tuple[str, str]]) -> Drawn:
    """Of a row: from the draw where `caption.draw` made one, else from all passed texts, as (who, split)."""
    by = values.get("caption.drawn_by") or values.get("caption.drawn_from")
    who = PEOPLE if values.get("caption.drawn_synthetic") is False else by
    shares = {str(who): 1.0} if who is not None else {}
    if who is None and texts:
        shares = {name: n / len(texts) for name, n in Counter(name for name, _ in texts).items()}
    synthetic = values.get("synthetic_text_share")
    if synthetic is None and texts:
        synthetic = sum(split == "recaption" for _, split in texts) / len(texts)
    return Drawn(bucket, synthetic, shares)


def sharing(found: Sequence[Drawn]) -> Iterator[Table]:
    """One table: a row for the whole, and one for each bucket where there are several."""
    groups: dict[str, list[Drawn]] = {"all": [*found]}
    for one in found:
        groups.setdefault(f"bucket {one.bucket}" if one.bucket else "without a bucket", []).append(one)
    if len(groups) == 2:
        del groups[list(groups)[1]]
    rows, faults = [], []
    for name, held in groups.items():
        known = [d.synthetic for d in held if d.synthetic is not None]
        synthetic = sum(known) / len(known) if known else None
        who, share = _largest(held)
        if synthetic is not None and synthetic > SYNTHETIC:
            faults.append(f"{name}: {_percent(synthetic)} synthetic text")
        if share is not None and share > SINGLE and who != PEOPLE:
            faults.append(f"{name}: {_percent(share)} by {who}")
        rows.append([cut(name), cut(who), _percent(share), _percent(synthetic), number(len(held))])
    if any(row[1] or row[3] != "–" for row in rows):
        yield Table(
            "Who wrote the texts",
            f"The page warns above {percent(9, 10)} synthetic text and {percent(6, 10)} by one captioner.",
            ("part", "largest captioner", "its share", "synthetic text", "records"),
            rows[:MOST_ROWS],
            max(0, len(rows) - MOST_ROWS),
            "; ".join(faults[:8]) + "." if faults else "",
            text=2,
        )


def _largest(held: Sequence[Drawn]) -> tuple[str, float | None]:
    total = Counter[str]()
    for one in held:
        total.update(one.by)  # type: ignore[arg-type]
    if not total:
        return "", None
    who = min(total, key=lambda name: (-total[name], name))
    return who, total[who] / sum(total.values())


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(round(10_000 * share), 10_000)
