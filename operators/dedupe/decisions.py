"""Rows of a Decide step's answer from arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.dedupe.arrays import U64, Bools
from thresher.schemas import Column
from thresher.schemas.decisions import DECISION


def decision_table(
    row: U64,
    dropped: Bools,
    reason: Any,
    column: Any,
    value: Any,
    bound: Any,
    keeper: pa.Array,
    extra: Mapping[Column, pa.Array],
) -> pa.Table:
    """`schemas.decisions.DECISION` and the step's own columns.

    Reason, column, value and bound: arrays, or one text for all; nulled here where the row is kept.
    """
    mask, none = pa.array(dropped), pa.scalar(None, pa.string())
    text = [pc.if_else(mask, said, none) for said in (reason, column, value, bound)]
    ends = np.concatenate(([0], np.cumsum(dropped))).astype(np.int32)
    also = pa.ListArray.from_arrays(pa.array(ends), _whole(text[0].drop_null()))
    fields = [*DECISION, *(column.field() for column in extra)]
    arrays = [pa.array(row), pc.invert(mask), *text, keeper, also, *extra.values()]
    return pa.table([_whole(a) for a in arrays], schema=pa.schema(fields))


def _whole(array: Any) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
