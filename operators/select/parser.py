"""Text to expression tree, by precedence climbing. From the loosest to the tightest:

    or; and; not
    == != < <= > >= | is [not] null | [not] (in (a, b) | in column | between a and b | like 'text')
    + -; * /; the sign -
    number [unit] | 'text' | true | false | column | (expression) | quantile(column, q [, by=column])

Keywords are case-blind; a quote inside a string is written twice.
"""

import re
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from thresher.operators.select.expression import (
    COMPARISONS,
    UNITS,
    Expr,
    Literal,
    Name,
    Operation,
    Place,
    PredicateError,
    Quantile,
)
from thresher.schemas.errors import closest

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?P<unit>[^\W\d_]+|%)?
      | (?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<name>[^\W\d]\w*(?:\.\w+)*)
      | (?P<sign><=|>=|==|!=|<>|&&|\|\||[<>=+\-*/(),])
      | (?P<open>['"].*)
      | (?P<other>\S)
    )""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = {"and", "or", "not", "in", "between", "like", "is", "null", "true", "false"}
_INSTEAD = {"=": "==", "<>": "!=", "&&": "and", "||": "or"}
_NOT, _TEST, _SUM, _SIGN = 3, 4, 5, 7
_LEVELS = {
    **{"or": 1, "and": 2, "+": _SUM, "-": _SUM, "*": 6, "/": 6},
    **dict.fromkeys([*COMPARISONS, "is", "not", "in", "between", "like"], _TEST),
}
"""How tightly an operator binds that stands behind an operand."""
_MAX_DEPTH = 50
_MAX_HEIGHT = 100


class _Token(NamedTuple):
    kind: str
    """number, string, name, end; a sign or keyword is its own kind."""
    text: str
    at: Place
    unit: str = ""


def parse(text: str) -> Expr:
    """The expression tree of a predicate. Raises PredicateError with the place of the fault."""
    return _Parser(text).whole()


def _tokens(text: str) -> list[_Token]:
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = "number" if match["number"] else str(match.lastgroup)
        word, place = match[kind], Place(text, match.start(kind), match.end())
        if kind == "open":
            raise PredicateError(f"the string is not closed by {word[0]}", place)
        if kind == "other":
            mend = "Write a percentage without a space, e.g. 30%" if word == "%" else ""
            raise PredicateError(f"unexpected {word!r}", place, mend)
        if kind == "sign" or (kind == "name" and word.lower() in _KEYWORDS):
            kind = word.lower()
        tokens.append(_Token(kind, word, place, match["unit"] or ""))
    return [*tokens, _Token("end", "", Place(text, len(text), len(text)))]


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._rest = _tokens(text)[::-1]
        self._end = 0
        """Where the last token that was taken ends."""
        self._depth = 0

    def whole(self) -> Expr:
        if self._rest[-1].kind == "end":
            raise PredicateError("the predicate is empty", self._rest[-1].at)
        expr = self._expr()
        if self._rest[-1].kind != "end":
            raise self._unexpected("the end")
        if _height(expr) > _MAX_HEIGHT:
            what = f"more than {_MAX_HEIGHT} operations in a chain"
            raise PredicateError(what, expr.at, "Use `in (...)`")
        return expr

    def _expr(self, level: int = 1) -> Expr:
        """An expression whose operators bind at least as tightly as `level`."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise PredicateError(f"more than {_MAX_DEPTH} levels inside each other", self._rest[-1].at)
        start = self._rest[-1].at.start
        left = self._operand(level)
        while (own := _LEVELS.get(self._rest[-1].kind, 0)) >= level:
            if own == _TEST:
                left = self._test(start, left)
                if _LEVELS.get(self._rest[-1].kind) == _TEST:
                    mend = "Use `between ... and ...`, or join two with `and`"
                    raise PredicateError("comparisons do not chain", self._rest[-1].at, mend)
            else:
                left = self._node(start, self._next().kind, left, self._expr(own + 1))
        self._depth -= 1
        return left

    def _test(self, start: int, left: Expr) -> Expr:
        if token := self._take(*COMPARISONS):
            return self._node(start, token.kind, left, self._expr(_SUM))
        if self._take("is"):
            negated = self._take("not")
            self._expect("null")
            found: Expr = self._node(start, "is null", left)
        else:
            negated = self._take("not")
            found = self._membership(start, left)
        return self._node(start, "not", found) if negated else found

    def _membership(self, start: int, left: Expr) -> Expr:
        if self._take("between"):
            low = self._expr(_SUM)
            self._expect("and")
            return self._node(start, "between", left, low, self._expr(_SUM))
        if self._take("like"):
            return self._node(start, "like", left, _string(self._expect("string")))
        if not self._take("in"):
            raise self._unexpected("`in`, `between` or `like`")
        if self._rest[-1].kind == "name":
            return self._node(start, "contains", self._name(), left)
        self._expect("(")
        options = [self._expr(_SUM)]
        while self._take(","):
            options.append(self._expr(_SUM))
        self._expect(")")
        return self._node(start, "in", left, *options)

    def _operand(self, level: int) -> Expr:
        token = self._rest[-1]
        if level <= _NOT and self._take("not"):
            return self._node(token.at.start, "not", self._expr(_NOT))
        if self._take("-"):
            return self._node(token.at.start, "-", Literal(token.at, Decimal(0)), self._expr(_SIGN))
        if token.kind == "number":
            return self._number()
        if self._take("("):
            expr = self._expr()
            self._expect(")")
            return replace(expr, at=self._since(token.at.start))
        if self._take("string"):
            return _string(token)
        if self._take("true", "false"):
            return Literal(token.at, token.kind == "true")
        if token.kind == "name":
            name = self._name()
            return self._call(name) if self._take("(") else name
        if token.kind == "null":
            raise PredicateError("nothing equals null", token.at, "Write `is null` or `is not null`")
        raise self._unexpected("a column, a number or a string")

    def _number(self) -> Literal:
        token = self._expect("number")
        if not token.unit:
            return Literal(token.at, Decimal(token.text))
        if token.unit not in UNITS:
            near = closest(token.unit, list(UNITS))
            mend = f"Did you mean `{token.text}{near}`?" if near else f"Units are {', '.join(UNITS)}"
            raise PredicateError(f"unknown unit {token.unit!r}", token.at, mend)
        unit, factor = UNITS[token.unit]
        try:
            return Literal(token.at, Decimal(token.text) * factor, unit)
        except ArithmeticError as error:
            raise PredicateError("the number is too large", token.at) from error

    def _call(self, function: Name) -> Quantile:
        if function.name != "quantile":
            what = f"there is no function {function.name!r}"
            raise PredicateError(what, function.at, "The only one is quantile(column, q)")
        column = self._name()
        self._expect(",")
        q = self._number()
        by = None
        if self._take(","):
            if self._rest[-1].text != "by":
                raise self._unexpected("`by=column`")
            self._next()
            self._expect("=")
            by = self._name()
        self._expect(")")
        if not isinstance(q.value, Decimal) or q.unit not in (None, "share") or not 0 <= q.value <= 1:
            raise PredicateError("the q of a quantile is a share from 0 to 1", q.at)
        return Quantile(self._since(function.at.start), column, q.value, by)

    def _name(self) -> Name:
        token = self._expect("name")
        return Name(token.at, token.text)

    def _node(self, start: int, operator: str, *operands: Expr) -> Operation:
        return Operation(self._since(start), operator, operands)

    def _since(self, start: int) -> Place:
        return Place(self._text, start, self._end)

    def _take(self, *kinds: str) -> _Token | None:
        return self._next() if self._rest[-1].kind in kinds else None

    def _next(self) -> _Token:
        self._end = self._rest[-1].at.end
        return self._rest.pop()

    def _expect(self, kind: str) -> _Token:
        token = self._take(kind)
        if token is None:
            raise self._unexpected({"name": "a column", "string": "a string"}.get(kind, f"`{kind}`"))
        return token

    def _unexpected(self, wanted: str) -> PredicateError:
        token = self._rest[-1]
        if token.kind in _INSTEAD:
            mend = f"Write `{_INSTEAD[token.kind]}`"
            return PredicateError(f"`{token.text}` is not known here", token.at, mend)
        found = "the text ends" if token.kind == "end" else f"found {token.text!r}"
        return PredicateError(f"expected {wanted}, but {found}", token.at)


def _string(token: _Token) -> Literal:
    quote = token.text[0]
    return Literal(token.at, token.text[1:-1].replace(quote * 2, quote))


def _height(expr: Expr) -> int:
    height, level = 0, [expr]
    while level:
        height, level = height + 1, [child for node in level for child in node.operands]
    return height
