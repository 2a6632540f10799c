"""Rows of a Decide step's answer from arrays."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.dedupe.arrays import U64, Bools
from thresher.schemas.decisions import DECISION


def decision_table(
    row: U64,
    dropped: Bools,
    reason: pa.Array,
    column: pa.Array,
    value: pa.Array,
    bound: pa.Array,
    keeper: pa.Array,
    extra: Sequence[tuple[pa.Field, pa.Array]],
) -> pa.Table:
    """`schemas.decisions.DECISION` and the step's own columns; text of kept rows is nulled here."""
    offsets = np.concatenate(([0], np.cumsum(dropped))).astype(np.int32)
    also = pa.ListArray.from_arrays(pa.array(offsets), reason.filter(pa.array(dropped)))
    kept = pa.array(~dropped)
    text = [_where(dropped, array) for array in (reason, column, value, bound)]
    arrays = [pa.array(row), kept, *text, keeper, also]
    fields = list(DECISION) + [field for field, _ in extra]
    return pa.table([*arrays, *(array for _, array in extra)], schema=pa.schema(fields))


def constant(text: str, count: int) -> pa.Array:
    """`text`, `count` times."""
    return pa.array([text]).take(pa.array(np.zeros(count, np.int64)))


def _where(mask: Bools, array: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(mask), array, pa.scalar(None, pa.string()))
