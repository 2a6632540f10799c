"""The expression tree of predicates: frozen nodes that print as the text they parse from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
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


class Place(NamedTuple):
    """A stretch of a predicate's text."""

    text: str
    start: int
    end: int

    def __str__(self) -> str:
        marked = f"{self.text[: self.start]}▸{self.text[self.start : self.end]}◂{self.text[self.end :]}"
        return f"at character {self.start + 1} of `{marked}`"


NOWHERE = Place("", 0, 0)


class PredicateError(FieldError):
    """A predicate that cannot be read, or does not fit the columns; `place` says where."""

    def __init__(self, what: str, place: Place, path: tuple[str | int, ...] = (), mend: str = "") -> None:
        self.place, self.fault = place, what
        super().__init__(f"{what}, {place}" if place.text else what, path, mend)

    def under(self, *path: str | int) -> "PredicateError":
        """The same fault, found at `path` in the parameters."""
        return PredicateError(self.fault, self.place, path, self.mend)


@dataclass(frozen=True)
class Expr:
    """A node. Two nodes are equal if they mean the same; `at` does not count."""

    at: Place = field(default=NOWHERE, compare=False, repr=False, kw_only=True)

    @property
    def children(self) -> tuple["Expr", ...]:
        return ()

    def walk(self) -> Iterator["Expr"]:
        """This node and all below it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Literal(Expr):
    """A number (exact, with its unit suffix), a string or a boolean."""

    value: Decimal | str | bool
    unit: str = ""

    def __str__(self) -> str:
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, str):
            return "'" + self.value.replace("'", "''") + "'"
        return f"{self.value}{self.unit}"


@dataclass(frozen=True)
class Name(Expr):
    """A column."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Quantile(Expr):
    """The value of rank ceil(q n) among the live rows' values, for each value of `by` if given."""

    column: Name
    q: Decimal
    by: Name | None = None

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.column,) if self.by is None else (self.column, self.by)

    def __str__(self) -> str:
        by = f", by={self.by}" if self.by else ""
        return f"quantile({self.column}, {self.q}{by})"


@dataclass(frozen=True)
class Negate(Expr):
    """Minus a number."""

    operand: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)

    def __str__(self) -> str:
        return f"-{_inside(self.operand, 7)}"


@dataclass(frozen=True)
class Binary(Expr):
    """Two operands. `operator` is one of or, and; == != < <= > >=; + -; * /."""

    operator: str
    left: Expr
    right: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    @property
    def compares(self) -> bool:
        return self.operator in COMPARISONS

    def __str__(self) -> str:
        level = _LEVELS[self.operator]
        left = _inside(self.left, level + 1 if self.compares else level)
        return f"{left} {self.operator} {_inside(self.right, level + 1)}"


@dataclass(frozen=True)
class Between(Expr):
    """low <= operand <= high."""

    operand: Expr
    low: Expr
    high: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand, self.low, self.high)

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} {self.tail()}"

    def tail(self) -> str:
        return f"between {_inside(self.low, 5)} and {_inside(self.high, 5)}"


@dataclass(frozen=True)
class In(Expr):
    """The operand equals one of the options."""

    operand: Expr
    options: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand, *self.options)

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} {self.tail()}"

    def tail(self) -> str:
        return f"in ({', '.join(_inside(option, 5) for option in self.options)})"


@dataclass(frozen=True)
class Like(Expr):
    """The text matches a pattern: `%` any characters, `_` one, `\\` takes the next as it is."""

    operand: Expr
    pattern: Literal

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand, self.pattern)

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} {self.tail()}"

    def tail(self) -> str:
        return f"like {self.pattern}"


@dataclass(frozen=True)
class IsNull(Expr):
    """There is no value; never null itself."""

    operand: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} {self.tail()}"

    def tail(self) -> str:
        return "is null"


@dataclass(frozen=True)
class Not(Expr):
    """Null where the operand is null."""

    operand: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)

    def __str__(self) -> str:
        return f"not {_inside(self.operand, 3)}"


COMPARISONS = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""Comparison -> the same with its sides exchanged."""

_LEVELS = {"or": 1, "and": 2, **dict.fromkeys(COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6}


def _level(expr: Expr) -> int:
    if isinstance(expr, Binary):
        return _LEVELS[expr.operator]
    if isinstance(expr, Not):
        return 3
    if isinstance(expr, Between | In | Like | IsNull):
        return 4
    return 7 if isinstance(expr, Negate) else 8


def _inside(expr: Expr, level: int) -> str:
    return str(expr) if _level(expr) >= level else f"({expr})"
