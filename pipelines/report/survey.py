"""The two passes over a table: ranges and samples first, then exact counts and the groups of duplicates."""

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.operators.captions.taxonomy import LANGS, WRITTEN
from thresher.pipelines.report.histograms import GROUPS, Histogram, Sketch, layout
from thresher.pipelines.report.rows import DROPPED_ELSEWHERE, FAILED, KEPT, Blocks, Rows, mask, rank_of
from thresher.pipelines.report.samples import Smallest
from thresher.pipelines.view import Bound, RunView
from thresher.schemas import Column
from thresher.schemas.decisions import ID
from thresher.schemas.ids import ID_BYTES, byte_rows
from thresher.schemas.records import CATALOG_FIELDS

KEPT_SAMPLES, REASON_SAMPLES, EDGE_SAMPLES = 24, 12, 4
DUPLICATE_GROUPS, GROUP_MEMBERS = 12, 5
MOST_VALUES = 40
"""A text column with more distinct values gets no chart."""

NOT_CHARTED = {"id", "kind", "key", "media", "parents", "text", "items", "meta"} | {
    f.name for f in CATALOG_FIELDS
}


class Survey:
    """What two passes over one table found. Memory grows with columns and reasons, not with records."""

    def __init__(self, view: RunView, table: str, captions: Collection[str] = ()) -> None:
        """`captions`: columns of caption records, which have a section of their own."""
        texts = {f"{of}.{lang}.{level}" for of in captions for lang in LANGS for level in WRITTEN}
        described = {n: c for n, c in view.columns(table).items() if n not in {*captions, *texts}}
        self.bounds = [b for b in view.bounds(table) if b.column in described]
        charted = [c for name, c in described.items() if name not in NOT_CHARTED]
        # Unsigned 64-bit columns hold hashes and group numbers, which have no distribution.
        counted = [c for c in charted if c.numeric and not pa.types.is_uint64(c.dtype)]
        labels = [c for c in charted if pa.types.is_string(c.dtype) or pa.types.is_boolean(c.dtype)]
        self.sketches = {c.name: Sketch() for c in counted}
        self.values: dict[str, dict[str, list[int]] | None] = {c.name: {} for c in labels}
        self.histograms: dict[str, Histogram | None] = {}
        self.samples = Smallest()
        self.keepers: dict[str, NDArray[np.uint8]] = {}
        """For each reason that names keepers: the ids (n, 16) with the smallest ranks."""
        self.sizes: Counter[tuple[str, bytes]] = Counter()
        """(reason, one of those keepers) -> records dropped for it."""
        self.places: dict[bytes, int] = {}
        """Keeper -> its row; absent if it is in no part of this table."""
        blocks = Blocks(view, table, [*self.sketches, *self.values])
        self._first(blocks)
        self._second(blocks, described)

    def _first(self, blocks: Blocks) -> None:
        for rows in blocks:
            for name, sketch in self.sketches.items():
                sketch.add(rows.floats(name))
            for name in self.values:
                self._count_values(rows, name)
            self._sample(rows)
            for index, bound in enumerate(self.bounds):
                if bound.column in self.sketches and bound.reason != "keep_anyway":
                    self._edges(rows, index, bound)

    def _second(self, blocks: Blocks, described: Mapping[str, Column]) -> None:
        for name, sketch in self.sketches.items():
            at = [b.value for b in self.bounds if b.column == name]
            self.histograms[name] = layout(sketch, at, pa.types.is_integer(described[name].dtype))
        drawn = {n: h for n, h in self.histograms.items() if h is not None}
        groups = [(reason, i.tobytes()) for reason, ids in self.keepers.items() for i in ids]
        wanted = {keeper for _, keeper in groups}
        for index in range(len(self.bounds)):
            wanted |= {pick.keeper for pick in self.samples.get("dropped near", index) if pick.keeper}
        for rows in blocks:
            for name, histogram in drawn.items():
                histogram.add(rows.floats(name), rows.groups(name))
            for reason, keeper in groups:
                self._members(rows, reason, keeper)
            found = mask(pc.is_in(rows.ledger["id"], value_set=pa.array(sorted(wanted), ID)))
            for i in np.flatnonzero(found):  # the newest version stands last
                self.places[rows.ids[i].tobytes()] = int(rows.ordinals[i])

    def _count_values(self, rows: Rows, name: str) -> None:
        counts = self.values[name]
        if counts is None:
            return
        column = pc.cast(rows.values[name], pa.string())
        groups = rows.groups(name)
        for value in pc.unique(column.drop_null()).to_pylist():
            chosen = groups[mask(pc.equal(column, value))]
            row = counts.setdefault(value, [0] * GROUPS)
            counts[value] = (np.bincount(chosen, minlength=GROUPS) + row).tolist()
            if len(counts) > MOST_VALUES:
                self.values[name] = None
                return

    def _sample(self, rows: Rows) -> None:
        self.samples.offer(("kept",), KEPT_SAMPLES, rows, rows.status == KEPT, rows.rank)
        reasons = rows.ledger["reason"]
        for reason in pc.unique(reasons.drop_null()).to_pylist():
            held = mask(pc.equal(reasons, reason))
            for name, status in (("dropped", DROPPED_ELSEWHERE), ("failed", FAILED)):
                chosen = held & (rows.status == status)
                self.samples.offer((name, reason), REASON_SAMPLES, rows, chosen, rows.rank)
            replaced = held & (rows.status == DROPPED_ELSEWHERE) & mask(pc.is_valid(rows.ledger["keeper"]))
            if replaced.any():
                known = self.keepers.get(reason, np.empty((0, ID_BYTES), np.uint8))
                ids = byte_rows(rows.ledger["keeper"].filter(replaced))
                ids = np.unique(np.concatenate([known, ids]), axis=0)
                self.keepers[reason] = ids[np.argsort(rank_of(ids), kind="stable")[:DUPLICATE_GROUPS]]

    def _members(self, rows: Rows, reason: str, keeper: bytes) -> None:
        chosen = mask(pc.equal(rows.ledger["keeper"], pa.scalar(keeper, ID)))
        chosen &= mask(pc.equal(rows.ledger["reason"], reason)) & (rows.status == DROPPED_ELSEWHERE)
        self.sizes[reason, keeper] += int(chosen.sum())
        self.samples.offer(("member", reason, keeper), GROUP_MEMBERS, rows, chosen, rows.rank)

    def _edges(self, rows: Rows, index: int, bound: Bound) -> None:
        values = rows.floats(bound.column)
        distance = np.abs(values - bound.value)
        known = np.isfinite(values)
        here = np.logical_and.reduce(
            [mask(pc.equal(rows.ledger[name], getattr(bound, name))) for name in ("reason", "step", "column")]
        )
        for side, chosen in (("dropped", here), ("kept", rows.status == KEPT)):
            self.samples.offer((f"{side} near", index), EDGE_SAMPLES, rows, chosen & known, distance)
