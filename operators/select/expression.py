"""The expression tree of predicates. A node prints as the text that it was read from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from operator import add, mul, sub, truediv
from typing import NamedTuple

from thresher.schemas import FieldError

UNITS: dict[str, tuple[str, Decimal]] = {
    "px": ("px", Decimal(1)),
    "B": ("bytes", Decimal(1)),
    "kB": ("bytes", Decimal(10**3)),
    "KB": ("bytes", Decimal(10**3)),
    "MB": ("bytes", Decimal(10**6)),
    "GB": ("bytes", Decimal(10**9)),
    "MP": ("MP", Decimal(1)),
    "%": ("share", Decimal("0.01")),
}
"""Suffix of a number -> the unit of the columns that it fits, and its factor."""

COMPARISONS = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""Comparison -> the same with its sides exchanged."""

_CALCULATE: dict[str, Callable[..., Decimal]] = {"+": add, "-": sub, "*": mul, "/": truediv}


class Place(NamedTuple):
    """A stretch of a predicate's text."""

    text: str
    start: int
    end: int

    def __str__(self) -> str:
        marked = f"{self.text[: self.start]}▸{self.text[self.start : self.end]}◂{self.text[self.end :]}"
        return f"at character {self.start + 1} of `{marked}`"


class PredicateError(FieldError):
    """A predicate that cannot be read, or does not fit the columns; `place` says where."""

    def __init__(self, what: str, place: Place, mend: str = "", path: tuple[str | int, ...] = ()) -> None:
        self.place, self.fault = place, what
        super().__init__(f"{what}, {place}", path, mend)


@contextmanager
def located(*path: str | int) -> Iterator[None]:
    """Says of a PredicateError inside that it was found at `path` in the parameters."""
    try:
        yield
    except PredicateError as error:
        raise PredicateError(error.fault, error.place, error.mend, (*path, *error.path)) from None


@dataclass(frozen=True)
class Expr:
    """A node. Two nodes are equal if they mean the same; `at` does not count."""

    at: Place = field(compare=False, repr=False)

    @property
    def operands(self) -> tuple["Expr", ...]:
        """The nodes right below it, in the order of the text."""
        return ()

    def walk(self) -> Iterator["Expr"]:
        """This node and all below it, in the order of the text."""
        yield self
        for operand in self.operands:
            yield from operand.walk()

    def __str__(self) -> str:
        return self.at.text[self.at.start : self.at.end]


@dataclass(frozen=True)
class Literal(Expr):
    """A number (exact, its suffix applied; `unit` as in `UNITS`), a string or a boolean."""

    value: Decimal | str | bool
    unit: str | None = None


@dataclass(frozen=True)
class Name(Expr):
    """A column."""

    name: str


@dataclass(frozen=True)
class Quantile(Expr):
    """The value of rank ceil(q n) among the live rows' values, for each value of `by` if given."""

    column: Name
    q: Decimal
    by: Name | None = None

    @property
    def operands(self) -> tuple[Expr, ...]:
        return (self.column,) if self.by is None else (self.column, self.by)


@dataclass(frozen=True)
class Operation(Expr):
    """An operator and its operands.

    or, and, not          conditions
    == != < <= > >=       two values
    between               value, low, high
    in                    value, options...
    contains              a list column, a value: `'x' in column`
    like                  text, pattern: `%` any characters, `_` one, `\\` takes the next as it is
    is null               a value
    + - * /               two numbers; the sign of a number subtracts it from 0
    """

    operator: str
    terms: tuple[Expr, ...]

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self.terms


def comparisons(expr: Expr) -> list[tuple[Expr, str, Expr]]:
    """The comparisons (left, operator, right) that a node makes of its operands."""
    match expr:
        case Operation(_, "between", (value, low, high)):
            return [(value, ">=", low), (value, "<=", high)]
        case Operation(_, "in", (value, *options)):
            return [(value, "==", option) for option in options]
        case Operation(_, operator, (left, right)) if operator in COMPARISONS:
            return [(left, operator, right)]
    return []


class Bound(NamedTuple):
    """A column against a constant or a quantile: `sharpness < 40`."""

    column: str
    operator: str
    value: Decimal | str | bool | Quantile


def bounds_of(expr: Expr) -> list[Bound]:
    """The comparisons of a node that are bounds."""
    found = []
    for left, operator, right in comparisons(expr):
        for name, sign, other in ((left, operator, right), (right, COMPARISONS[operator], left)):
            value = other if isinstance(other, Quantile) else constant(other)
            if isinstance(name, Name) and value is not None:
                found.append(Bound(name.name, sign, value))
    return found


def constant(expr: Expr) -> Decimal | str | bool | None:
    """The value of an expression without columns (numbers are exact), else None."""
    match expr:
        case Literal():
            return expr.value
        case Operation(_, sign, terms) if sign in _CALCULATE:
            numbers = [constant(term) for term in terms]
            if all(isinstance(number, Decimal) for number in numbers):
                try:
                    return _CALCULATE[sign](*numbers)
                except ArithmeticError as error:
                    raise PredicateError(f"`{expr}` has no value", expr.at) from error
    return None


def column_names(*exprs: Expr) -> list[str]:
    """The columns that they read, each once, in the order of the text."""
    return list(dict.fromkeys(node.name for e in exprs for node in e.walk() if isinstance(node, Name)))


def quantiles_in(*exprs: Expr) -> list[Quantile]:
    """Their `quantile(...)` terms, each once."""
    return list(dict.fromkeys(node for e in exprs for node in e.walk() if isinstance(node, Quantile)))


def alternatives(expr: Expr) -> list[Expr]:
    """The parts of an `or`: any of them is enough."""
    if isinstance(expr, Operation) and expr.operator == "or":
        return [part for term in expr.terms for part in alternatives(term)]
    return [expr]
