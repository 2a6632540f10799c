"""The survivor order: one total order, ending in the id."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.operators.dedupe.order import OrderParams, priority
from thresher.schemas import Column, FieldError

row = st.tuples(
    st.integers(1, 60_000),
    st.integers(1, 60_000),
    st.booleans(),
    st.integers(0, 2**30),
    st.one_of(st.none(), st.floats(-2000, 2000)),
    st.sampled_from(["a", "b", "c"]),
)


def table(rows):
    w, h, lossless, size, score, source = zip(*rows, strict=True)
    return pa.table(
        {
            "width": pa.array(w, pa.int32()),
            "height": pa.array(h, pa.int32()),
            "lossless": pa.array(lossless),
            "bytes": pa.array(size, pa.int64()),
            "score": pa.array(score, pa.float32()),
            "source": pa.array(source),
        }
    )


def step(area):
    k = max(int(math.log(area) / math.log(1.05)) - 2, 0)
    while 21 ** (k + 1) <= area * 20 ** (k + 1):
        k += 1
    return k


def stated(r, params):
    """The order as it is written down, as a sort key."""
    w, h, lossless, size, score, source = r
    rank = params.source_rank.index(source) if source in params.source_rank else len(params.source_rank)
    preferred = (score is None, 0 if score is None else -np.rint(float(np.float32(score)) * 64))
    return rank, -step(w * h), preferred, not lossless, -min(size, 2**30 - 1)


@given(st.lists(row, min_size=2, max_size=8))
def test_pri_is_the_stated_order(rows):
    params = OrderParams(prefer="score", source_rank=("b", "a"))
    pri = priority(table(rows), params).tolist()
    keys = [stated(r, params) for r in rows]
    for i in range(len(rows)):
        for j in range(len(rows)):
            assert (pri[i] < pri[j]) == (keys[i] < keys[j]), (rows[i], rows[j])


def test_a_last_bit_of_the_preferred_column_does_not_decide():
    rows = [(640, 480, False, 10, 0.5, "a"), (640, 480, False, 20, 0.5 + 1e-4, "a")]
    pri = priority(table(rows), OrderParams(prefer="score"))
    assert pri[1] < pri[0]  # more bytes, as the scores count as equal


def test_prefer_must_name_a_numeric_column():
    known = {"score": Column("score", pa.float32(), "", ""), "text": Column("text", pa.string(), "", "")}
    OrderParams(prefer="score").check_prefer(known)
    for wrong in ("scores", "text"):
        with pytest.raises(FieldError) as error:
            OrderParams(prefer=wrong).check_prefer(known)
        assert error.value.path == ("prefer",)
