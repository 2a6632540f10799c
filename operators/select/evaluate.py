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
    Between,
    Binary,
    Expr,
    In,
    IsNull,
    Like,
    Literal,
    Name,
    Negate,
    Not,
    Quantile,
)
from thresher.operators.select.quantile import Threshold
from thresher.operators.select.trees import constant

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
    return _Evaluation(table, thresholds or {}).condition(expr)


def cast_constant(value: Decimal | str | bool, dtype: pa.DataType) -> pa.Scalar:
    """A constant in a column's type: floats rounded to it; fractions do not fit integers."""
    if isinstance(value, Decimal):
        if pa.types.is_integer(dtype):
            return pa.scalar(int(value), dtype)
        return pa.scalar(np.dtype(dtype.to_pandas_dtype()).type(float(value)), dtype)
    return pa.scalar(value, dtype)


def column_of(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    return table.column(name).combine_chunks()


class _Evaluation:
    def __init__(self, table: pa.Table, thresholds: Thresholds) -> None:
        self._table, self._thresholds = table, thresholds

    def condition(self, expr: Expr) -> pa.Array:
        match expr:
            case Literal():
                return pa.repeat(pa.scalar(bool(expr.value)), self._table.num_rows)
            case Name():
                return column_of(self._table, expr.name)
            case Not():
                return pc.invert(self.condition(expr.operand))
            case IsNull():
                return pc.is_null(self._operand(expr.operand))
            case Like():
                return pc.match_like(self._operand(expr.operand), str(expr.pattern.value))
            case In():
                return self._in(expr)
            case Between():
                low = self._compare(">=", expr.operand, expr.low)
                return pc.and_kleene(low, self._compare("<=", expr.operand, expr.high))
            case Binary(operator="and"):
                return pc.and_kleene(self.condition(expr.left), self.condition(expr.right))
            case Binary(operator="or"):
                return pc.or_kleene(self.condition(expr.left), self.condition(expr.right))
            case Binary():
                return self._compare(expr.operator, expr.left, expr.right)
        raise TypeError(f"{expr} is no condition")

    def _operand(self, expr: Expr) -> pa.Array:
        """Values of a side of a comparison."""
        if isinstance(expr, Name):
            return column_of(self._table, expr.name)
        if isinstance(expr, Quantile):
            by = column_of(self._table, expr.by.name) if expr.by else None
            return self._thresholds[expr].for_rows(by, self._table.num_rows)
        if isinstance(expr, Negate) or (isinstance(expr, Binary) and expr.operator in _ARITHMETIC):
            return self._number(expr, self._width(expr))
        return self.condition(expr)

    def _number(self, expr: Expr, dtype: pa.DataType) -> pa.Array:
        """Values of an arithmetic expression, all of it in `dtype`."""
        value = constant(expr)
        if isinstance(value, Decimal):
            return pa.repeat(cast_constant(value, dtype), self._table.num_rows)
        match expr:
            case Negate():
                return pc.negate(self._number(expr.operand, dtype))
            case Binary():
                left, right = self._number(expr.left, dtype), self._number(expr.right, dtype)
                result = _ARITHMETIC[expr.operator](left, right)
                return pc.if_else(pc.is_finite(result), result, pa.scalar(None, dtype))
        return pc.cast(self._operand(expr), dtype, safe=False)

    def _width(self, expr: Expr) -> pa.DataType:
        types = {_plain(self._operand(n)).type for n in expr.walk() if isinstance(n, Name)}
        return pa.float32() if pa.float32() in types and types <= _SHORT else pa.float64()

    def _compare(self, operator: str, left: Expr, right: Expr) -> pa.Array:
        if constant(left) is not None:
            operator, left, right = COMPARISONS[operator], right, left
        value = constant(right)
        if value is not None:
            return compare_constant(operator, self._operand(left), value)
        return _COMPARE[operator](*_common(self._operand(left), self._operand(right)))

    def _in(self, expr: In) -> pa.Array:
        array = self._operand(expr.operand)
        values = [value for option in expr.options if (value := constant(option)) is not None]
        if isinstance(values[0], str):
            found = pc.is_in(array, value_set=pa.array(values, array.type))
            return pc.if_else(pc.is_valid(array), found, pa.scalar(None, pa.bool_()))
        return reduce(pc.or_kleene, (compare_constant("==", array, value) for value in values))


def compare_constant(operator: str, array: pa.Array, value: Decimal | str | bool) -> pa.Array:
    """`array operator value`, exact for integers even if the value has a fraction."""
    if isinstance(value, Decimal) and pa.types.is_integer(array.type) and value != int(value):
        if operator in ("==", "!="):
            return pc.if_else(pc.is_valid(array), operator == "!=", pa.scalar(None, pa.bool_()))
        value = Decimal(math.ceil(value) if operator in ("<", ">=") else math.floor(value))
    bound = cast_constant(value, array.type)
    return _COMPARE[operator](_plain(array), _plain(bound))


def _plain(values: Any) -> Any:
    """Half floats as float32, which Arrow can compute with."""
    return values.cast(pa.float32()) if pa.types.is_float16(values.type) else values


def _common(left: pa.Array, right: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Two number columns in a type that both fit: exact among integers and among floats."""
    left, right = _plain(left), _plain(right)
    if left.type == right.type or not pa.types.is_primitive(left.type):
        return left, right
    whole = pa.types.is_integer(left.type) and pa.types.is_integer(right.type)
    if whole and pa.uint64() in (left.type, right.type):
        return left.cast(pa.decimal128(20, 0)), right.cast(pa.decimal128(20, 0))
    common = pa.int64() if whole else pa.float64()
    return left.cast(common, safe=False), right.cast(common, safe=False)
