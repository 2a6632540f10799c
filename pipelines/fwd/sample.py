"""What is compared: for each picture of a source two of the reference, alike in size, quality and format."""

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.aigc.fwd import LEAST, SIDE, tile_count
from thresher.operators.select.evaluate import evaluate
from thresher.operators.select.expression import Expr, column_names
from thresher.pipelines.calibrate.records import OLD
from thresher.pipelines.view import RunView
from thresher.schemas import Reason
from thresher.schemas.ids import byte_rows, id_halves, keyed_hash

MATCHED = ("width", "height", "jpeg_quality", "format")
_ALIKE = [*OLD, str(Reason.DUPLICATE_EXACT), str(Reason.DUPLICATE_NEAR)]
"""Reasons of records that are not drawn: versions that are no more, and copies, which are not independent."""

Stratum = tuple[int, int, int, str]
"""Octave of the number of pixels; tiles; JPEG quality in steps of 5 (-1: no JPEG); format."""


class Picture(NamedTuple):
    """A record; the smallest ranks are drawn."""

    rank: int
    id: bytes
    part: int
    row: int


class Triple(NamedTuple):
    """A picture of a source, and one of each half of the reference."""

    own: Picture
    first: Picture
    second: Picture


@dataclass(frozen=True)
class Draw:
    """What is compared of one source."""

    name: str
    pictures: int
    """How many there are to draw from."""
    triples: list[Triple]
    lacks: str = ""
    """Why it cannot be compared, in words."""


@dataclass
class Candidates:
    """The pictures of a table with the smallest ranks: memory does not grow with it."""

    most: int
    own: dict[str, dict[Stratum, list[Picture]]] = field(default_factory=lambda: defaultdict(dict))
    reference: dict[Stratum, dict[str | None, list[Picture]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By the source that they are of, which is not compared with them."""
    counts: Counter[str] = field(default_factory=Counter)
    cameras: Counter[str | None] = field(default_factory=Counter)
    """Pictures of the reference, by their source."""

    def draws(self) -> Iterator[Draw]:
        """For each source what is compared, or what it lacks."""
        for name in sorted(self.counts):
            triples = list(self._matched(name))[: self.most]
            yield Draw(name, self.counts[name], triples, self._lack(name, len(triples)))

    def _matched(self, name: str) -> Iterator[Triple]:
        """Triples by the rank of the source's picture. Odd and even ranks of a stratum are the two halves."""
        spare = {}
        for stratum in self.own[name]:
            others = (found for source, found in self.reference[stratum].items() if source != name)
            ranked = iter(sorted(chain.from_iterable(others)))
            spare[stratum] = zip(ranked, ranked, strict=False)
        owned = sorted((p, stratum) for stratum, found in self.own[name].items() for p in found)
        for own, stratum in owned:
            if pair := next(spare[stratum], None):
                yield Triple(own, *pair)

    def _lack(self, name: str, matched: int) -> str:
        reference = self.cameras.total() - self.cameras[name]
        if matched >= LEAST:
            return ""
        if not reference and self.cameras[name]:
            return "the whole reference is of this source: nothing to compare it with"
        if self.counts[name] < LEAST:
            return f"needs {LEAST} pictures"
        if reference < 2 * LEAST:
            return f"needs {2 * LEAST} pictures in the reference outside it, which has {reference}"
        what = f"only {matched} find two in the reference of their size, quality and format"
        return f"{what}; needs {LEAST}"


def candidates(view: RunView, table: str, by: str, reference: Expr, most: int) -> Candidates:
    """Every record of a table that has what is to be matched, and no copy of another."""
    found = Candidates(most)
    names = list(dict.fromkeys([*MATCHED, by, *column_names(reference)]))
    for part in view.parts(table):
        ledger, values = view.ledger(table, part), view.values(table, part, names)
        alike = pc.fill_null(pc.is_in(ledger["reason"], pa.array(_ALIKE)), False)
        small = pc.fill_null(pc.less(pc.min_element_wise(values["width"], values["height"]), SIDE), True)
        drawn = np.flatnonzero(pc.invert(pc.or_(alike, small)).to_numpy())
        values = values.append_column("_fits", pc.fill_null(evaluate(reference, values), False))
        ids = ledger["id"].take(pa.array(drawn))
        ranks = keyed_hash(id_halves(byte_rows(ids))[0], "fwd", view.seed)
        rows = values.take(pa.array(drawn)).to_pylist()
        for rank, record, at, row in zip(ranks.tolist(), ids.to_pylist(), drawn.tolist(), rows, strict=True):
            _enter(found, Picture(rank, record, part, at), row, row[by])
    return found


def _enter(found: Candidates, picture: Picture, row: Mapping[str, Any], name: str | None) -> None:
    stratum = stratum_of(row)
    if name is not None:
        found.counts[name] += 1
        _keep(found.own[name].setdefault(stratum, []), picture, found.most)
    if row["_fits"]:
        found.cameras[name] += 1
        _keep(found.reference[stratum].setdefault(name, []), picture, 2 * found.most)


def _keep(ranked: list[Picture], picture: Picture, most: int) -> None:
    insort(ranked, picture)
    del ranked[most:]


def stratum_of(row: Mapping[str, Any]) -> Stratum:
    """What a picture is matched by."""
    quality = row["jpeg_quality"]
    octave = round(float(np.log2(row["width"] * row["height"])))
    tiles = tile_count(row["height"], row["width"])
    return octave, tiles, -1 if quality is None else quality // 5, row["format"]
