"""What an expression says: constants, columns, alternatives, bounds."""

from collections.abc import Iterator
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import NamedTuple

from thresher.operators.select.expression import (
    COMPARISONS,
    UNITS,
    Between,
    Binary,
    Expr,
    Literal,
    Name,
    Negate,
    PredicateError,
    Quantile,
)


class Comparison(NamedTuple):
    """A column against a number: `sharpness < 40`, or against a quantile."""

    column: str
    operator: str
    """One of < <= > >= == !=."""
    bound: Decimal | Quantile


def constant(expr: Expr) -> Decimal | str | bool | None:
    """The value of an expression without columns (numbers exact, units applied), else None."""
    match expr:
        case Literal(value=Decimal() as number, unit=unit):
            return number * UNITS[unit][1] if unit else number
        case Literal():
            return expr.value
        case Negate():
            value = constant(expr.operand)
            return -value if isinstance(value, Decimal) else None
        case Binary(operator="+" | "-" | "*" | "/"):
            left, right = constant(expr.left), constant(expr.right)
            if isinstance(left, Decimal) and isinstance(right, Decimal):
                return _calculate(expr, left, right)
    return None


def column_names(expr: Expr) -> list[str]:
    """The columns that it reads, each once, in the order of the text."""
    return list(dict.fromkeys(node.name for node in expr.walk() if isinstance(node, Name)))


def quantiles_in(expr: Expr) -> list[Quantile]:
    """Its `quantile(...)` terms, each once."""
    return list(dict.fromkeys(node for node in expr.walk() if isinstance(node, Quantile)))


def alternatives(expr: Expr) -> list[Expr]:
    """The parts of an `or`: any of them is enough."""
    if isinstance(expr, Binary) and expr.operator == "or":
        return [*alternatives(expr.left), *alternatives(expr.right)]
    return [expr]


def bounds_of(expr: Expr) -> list[Comparison]:
    """Every comparison of a column with a number or a quantile, in the order of the text."""
    return [found for node in expr.walk() for found in _bounds(node)]


def _bounds(node: Expr) -> Iterator[Comparison]:
    if isinstance(node, Between):
        sides = [(node.operand, ">=", node.low), (node.operand, "<=", node.high)]
    elif isinstance(node, Binary) and node.compares:
        sides = [(node.left, node.operator, node.right), (node.right, COMPARISONS[node.operator], node.left)]
    else:
        return
    for column, operator, bound in sides:
        if isinstance(column, Name):
            value = bound if isinstance(bound, Quantile) else constant(bound)
            if isinstance(value, Decimal | Quantile):
                yield Comparison(column.name, operator, value)


def _calculate(expr: Binary, left: Decimal, right: Decimal) -> Decimal:
    try:
        match expr.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
        return left / right
    except (DivisionByZero, InvalidOperation) as error:
        raise PredicateError(f"`{expr}` has no value", expr.at) from error
