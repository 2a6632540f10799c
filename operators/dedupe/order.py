"""The survivor order: which record of a group of duplicates stays. One total order for every kind.

Larger pixel area in 5 % steps, then the higher `prefer` column rounded to 1/64, then lossless over
lossy, then more bytes, then the smaller id. Steps and rounding keep a last bit from deciding.
`pri` packs all but the id into 64 bits; smaller wins. Equal `pri` goes on to the id, read as two
big-endian words, of which the first is the `id_hash`.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from thresher.operators.base import Params
from thresher.operators.dedupe.arrays import I64, U64
from thresher.schemas import Column, FieldError
from thresher.schemas.errors import nearest

ORDER_COLUMNS = ("width", "height", "lossless", "bytes")

# Bits of `pri`, most significant first: source 5, area 10, prefer 18, lossless 1, bytes 30.
_MAX_SOURCES = 31
_MAX_AREA = (1 << 10) - 1
_MAX_PREFER = (1 << 17) - 1
_MAX_BYTES = (1 << 30) - 1

_AREA_STEPS = np.array([-(-(21**k) // 20**k) for k in range(890)], np.int64)
"""Least whole area of each 5 % step, in exact arithmetic: a logarithm may differ in its last bit."""


class OrderParams(Params):
    """What decides which of several duplicates stays."""

    prefer: str | None = Field(
        None, description="A numeric column: within a 5 % step of area the record with the higher value stays"
    )
    source_rank: tuple[str, ...] = Field(
        (),
        max_length=_MAX_SOURCES,
        description="Sources, best first: decides before the area; others come last",
    )

    def order_columns(self) -> tuple[str, ...]:
        """Columns that `priority` reads."""
        extra = (self.prefer,) if self.prefer else ()
        return (*ORDER_COLUMNS, *extra, *(("source",) if self.source_rank else ()))

    def check_prefer(self, available: Mapping[str, Column]) -> None:
        """Raises FieldError if `prefer` is no numeric column."""
        if self.prefer is None:
            return
        if self.prefer not in available:
            hint = nearest(self.prefer, list(available))
            raise FieldError(f"there is no column {self.prefer!r}", ("prefer",), hint)
        if not available[self.prefer].numeric:
            raise FieldError(f"the column {self.prefer!r} is not numeric", ("prefer",), "Name a numeric one")


def priority(table: pa.Table, params: OrderParams) -> U64:
    """`pri` of each row, from `params.order_columns()`; smaller stays.

    `prefer` saturates beyond +-2,048 and `bytes` beyond 1 GiB; null comes last.
    """
    area = np.maximum(_whole(table["width"]) * _whole(table["height"]), 1)
    step = np.searchsorted(_AREA_STEPS, area, side="right") - 1
    pri = _source_places(table, params)
    pri = pri << np.uint64(10) | (_MAX_AREA - step).astype(np.uint64)
    pri = pri << np.uint64(18) | _prefer_places(table, params)
    lossy = ~table["lossless"].combine_chunks().fill_null(False).to_numpy(zero_copy_only=False)
    pri = pri << np.uint64(1) | lossy.astype(np.uint64)
    size = np.clip(_whole(table["bytes"]), 0, _MAX_BYTES)
    return pri << np.uint64(30) | (_MAX_BYTES - size).astype(np.uint64)


def survivor_order(pri: U64, ids: U64) -> I64:
    """Indices from best to worst. `ids`: shape (n, 2), as `arrays.words` gives them."""
    return np.lexsort((ids[:, 1], ids[:, 0], pri))


def _whole(column: pa.ChunkedArray) -> I64:
    return column.cast(pa.int64()).fill_null(0).to_numpy()


def _source_places(table: pa.Table, params: OrderParams) -> U64:
    if not params.source_rank:
        return np.zeros(len(table), np.uint64)
    place = pc.index_in(table["source"], value_set=pa.array(params.source_rank, pa.string()))
    return place.cast(pa.int64()).fill_null(len(params.source_rank)).to_numpy().astype(np.uint64)


def _prefer_places(table: pa.Table, params: OrderParams) -> U64:
    if params.prefer is None:
        return np.zeros(len(table), np.uint64)
    value = table[params.prefer].cast(pa.float64()).to_numpy()
    rounded = np.clip(np.rint(np.nan_to_num(value) * 64), -_MAX_PREFER, _MAX_PREFER)
    place = (_MAX_PREFER - rounded).astype(np.uint64)
    return np.where(np.isnan(value), np.uint64((1 << 18) - 1), place)
