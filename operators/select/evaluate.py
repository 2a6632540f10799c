"""An expression tree over an Arrow table, in Arrow compute.

Null is "unknown" (Kleene logic). A constant is cast to its column's type, so that a float32 column
that holds 0.7 is `>= 0.7`; integers of any size compare exactly. Arithmetic runs in float32 if all
its columns are float32 or shorter, else in float64; what is then not finite is null.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.select.expression import (
    COMPARISONS,
    Expr,
    Literal,
    Name,
    Operation,
    Quantile,
    column_names,
    comparisons,
    constant,
)
from thresher.operators.select.quantile import Threshold

_COMPARE = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_ARITHMETIC = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}
_SHORT = {pa.float32(), pa.int8(), pa.int16(), pa.uint8(), pa.uint16()}

Thresholds = Mapping[Quantile, Threshold]


def evaluate(expr: Expr, table: pa.Table, thresholds: Thresholds | None = None) -> pa.Array:
    """A boolean, or null, for each row of `table`.

    `expr` must have passed `typecheck`; `thresholds` hold the value of each quantile in it.
    """
    return _Evaluation(table, thresholds or {}).values(expr)


def cast_constant(value: Decimal | str | bool, dtype: pa.DataType) -> pa.Scalar:
    """A constant in a column's type: floats rounded to it; fractions do not fit integers."""
    if isinstance(value, Decimal):
        if pa.types.is_integer(dtype):
            return pa.scalar(int(value), dtype)
        return pa.scalar(np.dtype(dtype.to_pandas_dtype()).type(float(value)), dtype)
    return pa.scalar(value, dtype)


def column_of(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    return _plain(table.column(name).combine_chunks())


def _plain(values: pa.Array) -> pa.Array:
    """Half floats, which Arrow cannot compare, as float32."""
    return values.cast(pa.float32()) if pa.types.is_float16(values.type) else values


class _Evaluation:
    def __init__(self, table: pa.Table, thresholds: Thresholds) -> None:
        self._table, self._thresholds = table, thresholds

    def values(self, expr: Expr) -> pa.Array:
        match expr:
            case Literal():
                return pa.repeat(pa.scalar(expr.value), self._table.num_rows)
            case Name():
                return column_of(self._table, expr.name)
            case Quantile():
                by = column_of(self._table, expr.by.name) if expr.by else None
                return self._thresholds[expr].for_rows(by, self._table.num_rows)
            case Operation(_, "not", (operand,)):
                return pc.invert(self.values(operand))
            case Operation(_, "and", (left, right)):
                return pc.and_kleene(self.values(left), self.values(right))
            case Operation(_, "or", (left, right)):
                return pc.or_kleene(self.values(left), self.values(right))
            case Operation(_, "is null", (operand,)):
                return pc.is_null(self.values(operand))
            case Operation(_, "like", (text, pattern)):
                return pc.match_like(self.values(text), str(constant(pattern)))
            case Operation(_, "contains", (column, value)):
                return _contains(self.values(column), constant(value))
            case Operation(_, "in", (text, *options)) if isinstance(constant(options[0]), str):
                array = self.values(text)
                found = pc.is_in(array, value_set=pa.array(map(constant, options), array.type))
                return pc.if_else(pc.is_valid(array), found, None)
            case Operation(_, "+" | "-" | "*" | "/"):
                return self._number(expr, self._width(expr))
            case Operation(_, operator):
                found = [self._compare(*comparison) for comparison in comparisons(expr)]
                return reduce(pc.and_kleene if operator == "between" else pc.or_kleene, found)
        raise TypeError(f"no node of a predicate: {expr!r}")

    def _number(self, expr: Expr, dtype: pa.DataType) -> pa.Array:
        """Values of an arithmetic expression, all of it in `dtype`."""
        value = constant(expr)
        if isinstance(value, Decimal):
            return pa.repeat(cast_constant(value, dtype), self._table.num_rows)
        if not isinstance(expr, Operation):
            return pc.cast(self.values(expr), dtype, safe=False)
        result = _ARITHMETIC[expr.operator](*(self._number(term, dtype) for term in expr.terms))
        return pc.if_else(pc.is_finite(result), result, None)

    def _width(self, expr: Expr) -> pa.DataType:
        types = {column_of(self._table, name).type for name in column_names(expr)}
        return pa.float32() if pa.float32() in types and types <= _SHORT else pa.float64()

    def _compare(self, left: Expr, operator: str, right: Expr) -> pa.Array:
        if constant(left) is not None:
            operator, left, right = COMPARISONS[operator], right, left
        value = constant(right)
        if value is not None:
            return _compare_constant(operator, self.values(left), value)
        return _COMPARE[operator](*_common(self.values(left), self.values(right)))


def _compare_constant(operator: str, array: pa.Array, value: Any) -> pa.Array:
    """`array operator value`, exact for integers even if the value has a fraction."""
    if isinstance(value, Decimal) and pa.types.is_integer(array.type) and value != int(value):
        if operator in ("==", "!="):
            return pc.if_else(pc.is_valid(array), operator == "!=", None)
        value = Decimal(math.ceil(value) if operator in ("<", ">=") else math.floor(value))
    return _COMPARE[operator](array, cast_constant(value, array.type))


def _contains(lists: pa.Array, value: Any) -> pa.Array:
    """Whether each list holds the value; null where there is no list."""
    hit = pc.fill_null(_compare_constant("==", _plain(pc.list_flatten(lists)), value), False)
    rows = pc.list_parent_indices(lists).filter(hit)
    return pc.if_else(pc.is_valid(lists), pc.is_in(pa.array(np.arange(len(lists))), value_set=rows), None)


def _common(left: pa.Array, right: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Two number columns in a type that both fit: exact among integers and among floats."""
    if left.type == right.type or not pa.types.is_primitive(left.type):
        return left, right
    whole = pa.types.is_integer(left.type) and pa.types.is_integer(right.type)
    if whole and pa.uint64() in (left.type, right.type):
        return left.cast(pa.decimal128(20, 0)), right.cast(pa.decimal128(20, 0))
    common = pa.int64() if whole else pa.float64()
    return left.cast(common, safe=False), right.cast(common, safe=False)
