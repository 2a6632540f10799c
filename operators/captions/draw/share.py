"""How much of a pool's text machines wrote: shares by bucket, and warnings where people's words get scarce.

Web text with a third of rephrased text trains best and pure generated text worst (arXiv 2510.01631); other
work finds more rephrased text better. So the bounds warn, and nothing is dropped.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa

READS = (
    "caption.drawn_by", "caption.drawn_synthetic", "synthetic_text_share", "generation_depth",
    "caption.raw_unfit",
)  # fmt: skip
MAX_SYNTHETIC, MAX_CAPTIONER = 0.9, 0.6
"""Accepted shares of captions without human text in their provenance, and by one model (ours)."""
MAX_UNFIT = 0.9
"""Where more of the files' own texts are turned away, the encoder or the bound is doubtful (ours)."""
DEEP = 2
"""`generation_depth` that is told of: a model then learns what models told each other (images.md 4.1)."""
ENOUGH_RAW = 0.1
"""Where so many records have human text among their candidates, a synthetic draw is no loss (ours)."""


@dataclass
class Tally:
    """Counts over drawn captions. Sums, so that parts and order change nothing."""

    texts: int = 0
    synthetic: int = 0
    human: int = 0
    """Records with some human text among their candidates."""
    models: Counter[str] = field(default_factory=Counter)
    """Texts by the model that wrote them."""
    deep: int = 0
    """Texts that came through two models or more."""
    held: int = 0
    """Records whose own text was held to a bound of its score."""
    unfit: int = 0
    """Records of these whose own text was turned away."""

    def add(self, other: Self) -> None:
        """Count another part of the table too."""
        self.texts += other.texts
        self.synthetic += other.synthetic
        self.human += other.human
        self.models.update(other.models)
        self.deep += other.deep
        self.held += other.held
        self.unfit += other.unfit

    @property
    def synthetic_share(self) -> float:
        """Share of drawn captions with no human text in their provenance."""
        return self.synthetic / max(1, self.texts)

    @property
    def human_share(self) -> float:
        """Share of records that have human text among their candidates."""
        return self.human / max(1, self.texts)

    @property
    def largest(self) -> tuple[str, float]:
        """The model that wrote most, and its share of all drawn captions."""
        if not self.models:
            return "", 0.0
        name = min(self.models, key=lambda model: (-self.models[model], model))
        return name, self.models[name] / max(1, self.texts)

    def facts(self, bucket: str) -> dict[str, Any]:
        """A row of the report."""
        model, share = self.largest
        shares = {"synthetic": self.synthetic_share, "with_human_text": self.human_share, "largest": share}
        rounded = {name: round(value, 4) for name, value in shares.items()}
        raw = {"deep": self.deep, "raw_held": self.held, "raw_unfit": self.unfit}
        return {"bucket": bucket, "texts": self.texts, **rounded, "captioner": model, **raw}


def tallies(rows: pa.Table, by: str | None) -> dict[str, Tally]:
    """Tallies of rows by the value of the column `by` (`all` without one); what drew no caption counts only
    where its own text was held to a bound."""
    found: dict[str, Tally] = {}
    names = [*READS, *([by] if by else [])]
    for values in zip(*(rows[name].to_pylist() for name in names), strict=True):
        model, synthetic, share, depth, unfit = values[:5]
        bucket = "all" if not by else "none" if values[5] is None else str(values[5])
        one = Tally(held=int(unfit is not None), unfit=int(bool(unfit)))
        if synthetic is not None:
            one.add(
                Tally(
                    1,
                    int(synthetic),
                    int(share < 1),
                    Counter([model] if model else []),
                    int((depth or 0) >= DEEP),
                )
            )
        if one != Tally():
            found.setdefault(bucket, Tally()).add(one)
    return found


def total(found: Mapping[str, Tally]) -> Tally:
    """All buckets together."""
    whole = Tally()
    for one in found.values():
        whole.add(one)
    return whole


def warnings(tally: Tally, where: str, max_synthetic: float, max_captioner: float) -> Iterator[str]:
    """What is out of bounds, with figures and what could be done."""
    if tally.synthetic_share > max_synthetic and tally.human_share < ENOUGH_RAW:
        yield (
            f"{where}: {tally.synthetic_share:.1%} of {tally.texts:,} captions have no human text in their"
            f" provenance (bound {max_synthetic:.0%}), and only {tally.human_share:.1%} of the records have"
            " any to draw: add sources with texts of their own"
        )
    model, share = tally.largest
    if share > max_captioner:
        yield (
            f"{where}: {model} wrote {share:.1%} of {tally.texts:,} captions (bound {max_captioner:.0%}):"
            " add a second captioner, or raise `keep_raw`"
        )
    if tally.deep:
        yield (
            f"{where}: {tally.deep:,} of {tally.texts:,} captions were written by a model of a picture that a"
            f" model made (`generation_depth` from {DEEP}): drop generated pictures, or draw people's texts"
        )
    if tally.unfit > MAX_UNFIT * tally.held:
        yield (
            f"{where}: {tally.unfit / tally.held:.1%} of {tally.held:,} texts that came with the files scored"
            " below `raw_min` and were turned away: read some, lower it, or take an encoder of their language"
        )
