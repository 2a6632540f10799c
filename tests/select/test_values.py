"""A Measure's answers as Arrow arrays: what is taken, what fails its row, what is the operator's fault."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from thresher.operators.values import to_array
from thresher.schemas import Column


def column(dtype: pa.DataType, lo: float | None = None, hi: float | None = None) -> Column:
    return Column("c", dtype, "", "", lo, hi)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1.5, None, 2, np.float32(0.5), np.float64(3), np.int64(4)], pa.float32()),
        (np.array([1, 2], np.int64), pa.float32()),
        (np.array([None, 1.5], object), pa.float64()),
        ([2**53 + 1, None, -(2**63)], pa.int64()),
        ([2**64 - 1, 0, None], pa.uint64()),
        (np.array([2**64 - 1], np.uint64), pa.uint64()),
        ([True, None, np.bool_(False)], pa.bool_()),
        (np.array([True, False]), pa.bool_()),
        (["", None, "ü"], pa.string()),
        ([b"x" * 32, None], pa.binary(32)),
        ([[1, 2, 3, 4], None], pa.list_(pa.int32(), 4)),
        (np.ones((3, 4), np.float16), pa.list_(pa.float16(), 4)),
        ([["a"], [], None], pa.list_(pa.string())),
        ([{"x": 1}, None], pa.struct([("x", pa.int32())])),
        ([], pa.float32()),
        ([None, None], pa.int32()),
    ],
)
def test_values_of_the_declared_type_pass(values: Any, dtype: pa.DataType) -> None:
    array, failures = to_array(values, column(dtype))
    assert array.type == dtype and not failures
    expected = [v.tolist() if isinstance(v, np.ndarray | np.generic) else v for v in values]
    assert array.to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "declared", "bad", "message"),
    [
        ([0.5, 1.5], column(pa.float32(), 0, 1), 1, "column 'c' is 1.5, outside its range from 0 to 1"),
        (np.array([-3, 2]), column(pa.int32(), 0), 0, "column 'c' is -3, outside its range from 0"),
        ([1, 2**40], column(pa.int32()), 1, "outside its range of int32"),
        (np.array([1, 2**40]), column(pa.int32()), 1, "outside its range of int32"),
        (np.array([1e300]), column(pa.float32()), 0, "column 'c' is 1e+300, outside its range of float"),
        ([[1.0], [float("nan")], None], column(pa.list_(pa.float32())), 1, "column 'c' is nan"),
        ([[0, 1], [0, -1]], column(pa.list_(pa.int32(), 2), 0), 1, "column 'c' is -1, outside its range"),
        (["a", "\ud800"], column(pa.string()), 1, "text that is no UTF-8"),
    ],
)
def test_a_value_that_cannot_be_stored_fails_its_row(
    values: Any, declared: Column, bad: int, message: str
) -> None:
    array, failures = to_array(values, declared)
    assert list(failures) == [bad]
    assert message in failures[bad].message
    assert [not v.is_valid for v in array] == [i == bad or values[i] is None for i in range(len(values))]


def test_a_bound_of_the_range_belongs_to_it_in_float32() -> None:
    assert not to_array(np.array([0.7], np.float32), column(pa.float32(), 0.7, 0.7))[1]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1.5], pa.int32()),
        (np.array([1.5]), pa.int32()),
        (np.array([True]), pa.int32()),
        (["a"], pa.float32()),
        ([True], pa.float32()),
        (np.ones((2, 2)), pa.float32()),
        ([1], pa.string()),
        ([1], pa.bool_()),
        ([b"short"], pa.binary(16)),
        ([[1, 2]], pa.list_(pa.int32(), 4)),
        ([[1.5]], pa.list_(pa.int32())),
        ([3], pa.list_(pa.int32())),
    ],
)
def test_another_type_is_the_operators_fault(values: Any, dtype: pa.DataType) -> None:
    with pytest.raises(TypeError, match=r"column 'c' is declared .*, but its operator gave"):
        to_array(values, column(dtype))
