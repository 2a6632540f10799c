"""Does a predicate fit the columns? Names, types, units and declared ranges, before anything runs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal as OneOf
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from thresher.operators.select.expression import (
    UNITS,
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
    Place,
    PredicateError,
    Quantile,
)
from thresher.operators.select.trees import constant
from thresher.schemas import Column
from thresher.schemas.errors import nearest

_CHECKED_UNITS = {unit for unit, _ in UNITS.values()}
_ALIASES = {"byte": "bytes", "b": "bytes", "pixels": "px", "mp": "MP", "probability": "share", "0-1": "share"}


class _Type(NamedTuple):
    kind: OneOf["number", "string", "boolean", "other"]
    unit: str = ""
    """Of a column; of a number with a suffix; empty for what fits any."""
    literal: bool = False


def typecheck(expr: Expr, columns: Mapping[str, Column]) -> None:
    """Raise PredicateError unless `expr` is a condition over `columns` that makes sense.

    It refuses unknown columns, comparisons between types, units that differ, bounds outside the
    column's declared range, and bounds that the column's type cannot hold.
    """
    found = _Checker(columns).type_of(expr)
    if found.kind != "boolean":
        what = f"`{expr}` is a {found.kind}, not a condition"
        rest = {"number": "< 40", "string": "== 'web'"}.get(found.kind, "is not null")
        raise PredicateError(what, expr.at, mend=f"Compare it with something, e.g. `{expr} {rest}`")


def find_column(name: str, columns: Mapping[str, Column], at: Place) -> Column:
    """The column called `name`. Raises PredicateError with the nearest right spelling."""
    if name not in columns:
        raise PredicateError(f"there is no column {name!r}", at, mend=nearest(name, list(columns)))
    return columns[name]


def kind_of(dtype: pa.DataType) -> OneOf["number", "string", "boolean", "other"]:
    """What predicates can do with a column of this Arrow type."""
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
        return "number"
    if pa.types.is_boolean(dtype):
        return "boolean"
    return "string" if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) else "other"


class _Checker:
    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns

    def type_of(self, expr: Expr) -> _Type:
        match expr:
            case Literal():
                return _literal_type(expr)
            case Name():
                column = find_column(expr.name, self._columns, expr.at)
                return _Type(kind_of(column.dtype), unit_of(column))
            case Quantile():
                return self._quantile(expr)
            case Negate():
                return self._wants(expr.operand, "number")
            case Not():
                return self._wants(expr.operand, "boolean")
            case IsNull():
                self.type_of(expr.operand)
            case Like():
                self._wants(expr.operand, "string")
            case In():
                for option in expr.options:
                    if constant(option) is None:
                        raise PredicateError(f"`{option}` is no constant", option.at)
                    self._compare(expr, "==", expr.operand, option)
            case Between():
                self._compare(expr, ">=", expr.operand, expr.low)
                self._compare(expr, "<=", expr.operand, expr.high)
            case Binary() if expr.compares:
                self._compare(expr, expr.operator, expr.left, expr.right)
            case Binary(operator="and" | "or"):
                self._wants(expr.left, "boolean")
                self._wants(expr.right, "boolean")
            case Binary():
                return self._arithmetic(expr)
        return _Type("boolean")

    def _wants(self, expr: Expr, kind: str) -> _Type:
        found = self.type_of(expr)
        if found.kind != kind:
            article = "no" if found.kind == "other" else f"a {found.kind}, not a"
            raise PredicateError(f"`{expr}` is {article} {kind}", expr.at)
        return found

    def _quantile(self, expr: Quantile) -> _Type:
        if expr.by is not None and self.type_of(expr.by).kind == "other":
            raise PredicateError(f"`{expr.by}` holds no categories", expr.by.at)
        return self._wants(expr.column, "number")

    def _arithmetic(self, expr: Binary) -> _Type:
        left, right = self._wants(expr.left, "number"), self._wants(expr.right, "number")
        if expr.operator in "+-":
            _same_unit(expr, expr.left, left, expr.right, right)
            return _Type("number", left.unit or right.unit, left.literal and right.literal)
        if left.literal and right.literal:
            return _Type("number", left.unit or right.unit, True)
        if right.literal and not right.unit:
            return left
        return right if expr.operator == "*" and left.literal and not left.unit else _Type("number")

    def _compare(self, whole: Expr, operator: str, left: Expr, right: Expr) -> None:
        a, b = self.type_of(left), self.type_of(right)
        for side, found in ((left, a), (right, b)):
            if found.kind == "other":
                mend = "Only `is null` and `is not null` ask about such a column"
                raise PredicateError(f"`{side}` cannot be compared", whole.at, mend=mend)
        if a.kind != b.kind:
            raise PredicateError(f"`{left}` is a {a.kind}, but `{right}` is a {b.kind}", whole.at)
        if a.kind != "number" and operator not in ("==", "!="):
            raise PredicateError(f"a {a.kind} has no order", whole.at, mend="Use ==, !=, `in` or `like`")
        if constant(left) is not None and constant(right) is not None:
            raise PredicateError("it compares two constants", whole.at, mend="Name a column")
        if a.kind == "number":
            _same_unit(whole, left, a, right, b)
            self._in_range(left, right)
            self._in_range(right, left)

    def _in_range(self, name: Expr, bound: Expr) -> None:
        """A bound that the column can never hold is a slip."""
        value = constant(bound)
        if isinstance(name, Quantile):
            name = name.column
        if not isinstance(name, Name) or not isinstance(value, Decimal):
            return
        column = self._columns[name.name]
        lo, hi = column.lo, column.hi
        if (lo is not None and value < Decimal(str(lo))) or (hi is not None and value > Decimal(str(hi))):
            limits = [f"{word} {x:g}" for word, x in (("from", lo), ("to", hi)) if x is not None]
            what = f"`{bound}` is outside the range of {column.name}, which is {' '.join(limits)}"
            mend = ""
            if hi == 1 and unit_of(column) == "share" and 1 < value <= 100:
                mend = f"Perhaps you mean {value}%"
            raise PredicateError(what, bound.at, mend=mend)
        if not _fits(value, column.dtype):
            raise PredicateError(
                f"`{bound}` does not fit {column.name}, a column of {column.dtype}", bound.at
            )


def unit_of(column: Column) -> str:
    """The first word of the declared unit, under its usual name."""
    word = column.unit.split(maxsplit=1)[0].strip(",;") if column.unit.strip() else ""
    return _ALIASES.get(word.lower(), word)


def _literal_type(expr: Literal) -> _Type:
    if isinstance(expr.value, bool):
        return _Type("boolean", literal=True)
    if isinstance(expr.value, str):
        return _Type("string", literal=True)
    return _Type("number", UNITS[expr.unit][0] if expr.unit else "", True)


def _same_unit(whole: Expr, left: Expr, a: _Type, right: Expr, b: _Type) -> None:
    if a.unit == b.unit:
        return
    for number, other, expr, bound in ((a, b, right, left), (b, a, left, right)):
        if number.literal and number.unit and not (other.literal and not other.unit):
            unit = f"is in {other.unit}" if other.unit not in ("", "-") else "has no unit"
            what = f"`{bound}` is in {number.unit}, but `{expr}` {unit}"
            raise PredicateError(what, whole.at, mend=_suffixes(other.unit))
    if {a.unit, b.unit} <= _CHECKED_UNITS:
        raise PredicateError(f"`{left}` is in {a.unit}, but `{right}` in {b.unit}", whole.at)


def _suffixes(unit: str) -> str:
    fitting = [suffix for suffix, (fits, _) in UNITS.items() if fits == unit]
    return f"Write a number with {' or '.join(fitting)}" if fitting else "Write a number without a unit"


def _fits(value: Decimal, dtype: pa.DataType) -> bool:
    target = np.dtype(dtype.to_pandas_dtype())
    if target.kind == "f":
        return abs(value) <= Decimal(float(np.finfo(target).max))
    return int(np.iinfo(target).min) <= value <= int(np.iinfo(target).max)
