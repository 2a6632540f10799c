"""What predicates say of the values on which query engines disagree."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.operators.select.checker import typecheck
from thresher.operators.select.evaluate import evaluate
from thresher.operators.select.parser import parse
from thresher.operators.values import to_array
from thresher.schemas import Column, Reason

BIG = 2**53 + 1
ROWS = pa.table(
    {
        "s": pa.array([None, -0.0, np.float32(0.7), 1.0], pa.float32()),
        "d": pa.array([None, -0.0, 0.7, 1.0], pa.float64()),
        "n": pa.array([None, 2**53, BIG, -BIG], pa.int64()),
        "u": pa.array([None, 0, BIG, 2**64 - 1], pa.uint64()),
        "t": pa.array([None, "", "web", "it's"], pa.string()),
        "b": pa.array([None, False, True, True], pa.bool_()),
        "l": pa.array([None, [], ["web", None], ["a", "web", "b"]], pa.list_(pa.string())),
        "h": pa.array([None, 0, 0.5, 1], pa.float16()),
        "v": pa.array([None, [], [0.5, 2], [1, None]], pa.list_(pa.float16())),
        "i": pa.array([None, [0], [2, 3], [3, None]], pa.list_(pa.int32())),
    }
)
COLUMNS = {f.name: Column(f.name, f.type, "", "") for f in ROWS.schema}

N, T, F = None, True, False


@pytest.mark.acceptance("DA23")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s >= 0.7", [N, F, T, T]),
        ("s > 0.7", [N, F, F, T]),
        ("s == 0.7", [N, F, T, F]),
        ("0.7 == s", [N, F, T, F]),
        ("s in (0.7, 2)", [N, F, T, F]),
        ("s between 0.7 and 0.7", [N, F, T, F]),
        ("s != 0.7", [N, T, F, T]),
        ("s == 0", [N, T, F, F]),
        ("s < 0", [N, F, F, F]),
        ("s in (0)", [N, T, F, F]),
        ("s >= -0", [N, T, T, T]),
        ("not (s > 0.5)", [N, T, F, F]),
        ("s is null", [T, F, F, F]),
        ("s is not null", [F, T, T, T]),
        ("s > 0.5 or s <= 0.5", [N, T, T, T]),
        ("s is null or s > 0.5", [T, F, T, T]),
        ("s > 0.5 and false", [F, F, F, F]),
        ("s > 0.5 or true", [T, T, T, T]),
        ("s * 1 >= 0.7", [N, F, T, T]),
        ("s + s >= 1.4", [N, F, T, T]),
        ("1 / s > 0", [N, N, T, T]),
        ("s == d", [N, T, F, T]),
        ("d >= 0.7", [N, F, T, T]),
        ("n == 9007199254740993", [N, F, T, F]),
        ("n > 9007199254740992", [N, F, T, F]),
        ("n < 9007199254740993", [N, T, F, T]),
        ("n < 9007199254740992.5", [N, T, F, T]),
        ("n > 9007199254740992.5", [N, F, T, F]),
        ("n == 0.5", [N, F, F, F]),
        ("n != 0.5", [N, T, T, T]),
        ("n in (9007199254740993, 0.5)", [N, F, T, F]),
        ("n == -9007199254740993", [N, F, F, T]),
        ("n between 9007199254740993 and 9007199254740993", [N, F, T, F]),
        ("n == u", [N, F, T, F]),
        ("u > n", [N, F, F, T]),
        ("u == 18446744073709551615", [N, F, F, T]),
        ("t == ''", [N, T, F, F]),
        ("t != ''", [N, F, T, T]),
        ("t in ('', 'web')", [N, T, T, F]),
        ("t not in ('web')", [N, T, F, T]),
        ("t like ''", [N, T, F, F]),
        ("t like '%'", [N, T, T, T]),
        ("t like 'w_b'", [N, F, T, F]),
        ("t == 'it''s'", [N, F, F, T]),
        ("t is null", [T, F, F, F]),
        ("'web' in l", [N, F, T, T]),
        ("'a' in l", [N, F, F, T]),
        ("'web' not in l", [N, T, F, F]),
        ("3 in i and not 0.5 in i", [N, F, T, T]),
        ("0.5 in v", [N, F, T, F]),
        ("h >= 0.5 and h + h < 2", [N, F, T, F]),
        ("-0 in i", [N, T, F, F]),
        ("b", [N, F, T, T]),
        ("not b", [N, T, F, F]),
        ("b == true", [N, F, T, T]),
        ("b or s is null", [T, F, T, T]),
        ("b and t == ''", [N, F, F, F]),
    ],
)
def test_special_values(text: str, expected: list[bool | None]) -> None:
    expr = parse(text)
    typecheck(expr, COLUMNS)
    assert evaluate(expr, ROWS).to_pylist() == expected


@pytest.mark.acceptance("DA23")
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [pa.float32(), pa.float64()])
def test_nan_is_refused_at_write(bad: float, dtype: pa.DataType) -> None:
    column = Column("sharpness", dtype, "levels^2", "")
    for values in (np.array([1.0, bad, 2.0]), [1.0, bad, 2.0]):
        array, failures = to_array(values, column)
        assert array.to_pylist() == [1.0, None, 2.0]
        assert failures == {1: (Reason.BAD_VALUE, f"column 'sharpness' is {bad}")}


@given(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.decimals(-(2**63), 2**63 - 1, places=1),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
)
def test_integers_compare_exactly(values: list[int | None], bound: Decimal, operator: str) -> None:
    compare = {
        "<": Decimal.__lt__,
        "<=": Decimal.__le__,
        ">": Decimal.__gt__,
        ">=": Decimal.__ge__,
        "==": Decimal.__eq__,
        "!=": Decimal.__ne__,
    }[operator]
    table = pa.table({"n": pa.array(values, pa.int64())})
    expected = [None if v is None else compare(Decimal(v), bound) for v in values]
    assert evaluate(parse(f"n {operator} {bound}"), table).to_pylist() == expected


@given(st.lists(st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_float32_equals_its_own_text(values: list[float | None]) -> None:
    table = pa.table({"s": pa.array(values, pa.float32())})
    for i, value in enumerate(values):
        if value is not None:
            text = str(np.float32(value))
            assert evaluate(parse(f"s == {text} and s >= {text} and s in ({text})"), table)[i].as_py()


def test_arithmetic_without_a_value_is_null() -> None:
    table = pa.table({"a": pa.array([0, 1, -1], pa.int32()), "b": pa.array([0, 0, 2**31 - 1], pa.int32())})
    assert evaluate(parse("a / b < 1"), table).to_pylist() == [None, None, True]
    assert evaluate(parse("b * b > 4611686014132420000"), table).to_pylist() == [False, False, True]
    assert evaluate(parse("- a == 1"), table).to_pylist() == [False, False, True]
