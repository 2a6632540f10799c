"""How much of the texts no person wrote, and how much one captioner wrote, by bucket.

Counted and warned of as `balance.captions` does, so that the page and the run say the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from thresher.operators.captions.draw.share import (
    MAX_CAPTIONER,
    MAX_SYNTHETIC,
    READS,
    Tally,
    tallies,
    total,
    warnings,
)
from thresher.operators.captions.record import Text
from thresher.pipelines.report.captions.cards import cut
from thresher.pipelines.report.captions.tables import MOST_ROWS, Table
from thresher.pipelines.report.numbers import number, percent


def drawn(rows: Sequence[Mapping[str, Any]], bucket: str) -> dict[str, Tally]:
    """Of the captions that `caption.draw` drew, by the column `bucket`, if there is one."""
    names = [*READS, *([bucket] if bucket else [])]
    return tallies(pa.table({name: [row[name] for row in rows] for name in names}), bucket or None)


def undrawn(records: Iterable[tuple[str, Sequence[Text]]]) -> dict[str, Tally]:
    """Of all passed texts, from (bucket, texts) of each record: nobody chose between them yet."""
    found: dict[str, Tally] = {}
    for bucket, texts in records:
        synthetic = sum(text.split == "recaption" for text in texts)
        human = len(texts) if synthetic < len(texts) else 0
        models = Counter(author for text in texts if (author := _author(text)))
        found.setdefault(bucket or "none", Tally()).add(Tally(len(texts), synthetic, human, models))
    return found


def sharing(found: Mapping[str, Tally]) -> Iterator[Table]:
    """One table: a row for the whole, and one for each bucket where there are several."""
    whole = total(found)
    if not whole.texts:
        return
    buckets = sorted(found.items()) if len(found) > 1 else []
    groups = [("all", whole), *((f"bucket {name}", tally) for name, tally in buckets)]
    told = [w for name, tally in groups for w in warnings(tally, cut(name), MAX_SYNTHETIC, MAX_CAPTIONER)]
    rows = [_row(name, tally) for name, tally in groups]
    yield Table(
        "Who wrote the texts",
        "Of the captions that were drawn, or of all that passed where none was drawn. The page warns above "
        f"{_percent(MAX_CAPTIONER)} by one captioner, and above {_percent(MAX_SYNTHETIC)} synthetic text "
        "where people wrote hardly any.",
        ("part", "largest captioner", "its share", "synthetic text", "texts"),
        rows[:MOST_ROWS],
        max(0, len(rows) - MOST_ROWS),
        cut("; ".join(told[:8]), 2000) + "." if told else "",
        text=2,
    )


def _row(name: str, tally: Tally) -> list[str]:
    who, share = tally.largest
    by = [cut(who), _percent(share)] if who else ["–", "–"]
    return [cut(name), *by, _percent(tally.synthetic_share), number(tally.texts)]


def _author(text: Text) -> str:
    """The model that wrote a text; empty: people."""
    return text.by.model if text.by else ("" if text.split == "raw" else "facts")


def _percent(share: float) -> str:
    return percent(round(10_000 * share), 10_000)
