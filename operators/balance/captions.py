"""`balance.captions`: how much of the drawn text machines wrote, told by bucket, with warnings."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import pyarrow as pa
from pydantic import Field

from thresher.operators.base import Context, Decide, Operator, Params, TableReader
from thresher.operators.captions.draw.share import (
    MAX_CAPTIONER,
    MAX_SYNTHETIC,
    READS,
    Tally,
    tallies,
    total,
    warnings,
)
from thresher.operators.dedupe.decisions import decision_table
from thresher.operators.registry import operator
from thresher.operators.shuffle import Slab, slabs_of
from thresher.schemas import Column, FieldError

BUCKET = "bucket_512"


class CaptionsParams(Params):
    """From where on it warns."""

    by: str | None = Field(
        "auto",
        description="column of the bucket; `auto`: `bucket_512` if there is one; null: no buckets",
    )
    max_synthetic: float = Field(
        MAX_SYNTHETIC,
        ge=0,
        le=1,
        description="accepted share of captions without human text in their provenance",
    )
    max_captioner: float = Field(
        MAX_CAPTIONER, ge=0, le=1, description="accepted share of captions by one model"
    )


@operator("balance.captions")
class BalanceCaptions(Decide):
    """Counts the captions that `caption.draw` drew: the share without any human text in its provenance and
    the largest share of a single captioner, for the table and each bucket; and how many texts of the files
    were turned away, because they do not fit their pictures. Keeps every record.

    Facts: `texts` (a row for each bucket), `synthetic_text_share`, `warnings`, which the run prints. What
    keeps the bound is `keep_raw` of `caption.draw`; a warning says that there is too little human text.
    """

    params_model = CaptionsParams
    reads = READS
    source = "ours, after arXiv 2510.01631"
    cost = "1 second of one core for each million records"

    def needs(self) -> tuple[str, ...]:
        by = self.params.by
        return (*READS, by) if by not in (None, "auto") else READS

    def settled(self, available: Mapping[str, Column]) -> Operator:
        if self.params.by != "auto":
            return self
        by = BUCKET if BUCKET in available else None
        return type(self)(self.params.model_copy(update={"by": by}))

    def check(self, available: Mapping[str, Column]) -> None:
        column = available.get(self.params.by) if self.params.by else None
        if self.params.by and (column is None or pa.types.is_nested(column.dtype)):
            raise FieldError(f"{self.params.by!r} is no column of plain values", ("by",), "Name one, or null")

    def decide(self, table: TableReader, context: Context) -> Iterator[tuple[int, pa.Table]]:
        """Facts: see the class."""
        by = None if self.params.by == "auto" else self.params.by
        found: dict[str, Tally] = {}
        work = partial(_tallied, table=table, columns=[*READS, *([by] if by else [])], by=by)
        for part in context.runner.map(work, slabs_of(table.parts)):
            for bucket, tally in part.items():
                found.setdefault(bucket, Tally()).add(tally)
        whole = total(found)
        bounds = self.params.max_synthetic, self.params.max_captioner
        told = list(warnings(whole, "all captions", *bounds))
        for bucket, tally in sorted(found.items() if by else ()):
            told += warnings(tally, f"{by} {bucket}", *bounds)
        context.facts["synthetic_text_share"] = round(whole.synthetic_share, 4)
        rows = [tally.facts(bucket) for bucket, tally in sorted(found.items())] if by else []
        context.facts["texts"] = [whole.facts("all"), *rows]
        context.facts["warnings"] = told
        for part in table.parts:
            live = table.read(part, [])
            keeper = pa.nulls(len(live), pa.binary(16))
            kept = np.zeros(len(live), np.bool_)
            yield part, decision_table(live["row"].to_numpy(), kept, "", "", "", "", keeper, {})


def _tallied(slab: Slab, *, table: TableReader, columns: list[str], by: str | None) -> dict[str, Tally]:
    return tallies(slab.read(table, columns), by)
