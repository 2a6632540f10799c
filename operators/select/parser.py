"""Text to expression tree, by recursive descent.

    or_        = and_ {"or" and_}
    and_       = not_ {"and" not_}
    not_       = "not" not_ | comparison
    comparison = sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum
                     | "is" ["not"] "null"
                     | ["not"] ("in" "(" sum {"," sum} ")" | "between" sum "and" sum | "like" string)]
    sum        = product {("+" | "-") product}
    product    = unary {("*" | "/") unary}
    unary      = "-" unary | atom
    atom       = number [unit] | string | "true" | "false" | column | "(" or_ ")"
               | "quantile" "(" column "," number ["," "by" "=" column] ")"

Keywords are case-blind; a quote inside a string is written twice.
"""

import re
from decimal import Decimal
from typing import NamedTuple

from thresher.operators.select.expression import (
    COMPARISONS,
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
from thresher.schemas.errors import nearest

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?P<unit>[^\W\d_]+|%)?
      | (?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<name>[^\W\d]\w*(?:\.\w+)*)
      | (?P<sign><=|>=|==|!=|<>|&&|\|\||[<>=+\-*/(),])
    )""",
    re.VERBOSE,
)
_KEYWORDS = {"and", "or", "not", "in", "between", "like", "is", "null", "true", "false"}
_INSTEAD = {"=": "==", "<>": "!=", "&&": "and", "||": "or"}
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
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if not match:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise _unreadable(text, start)
        kind = str(match.lastgroup if match.lastgroup != "unit" else "number")
        word, place = match[kind], Place(text, match.start(kind), match.end())
        if kind == "sign" or (kind == "name" and word.lower() in _KEYWORDS):
            kind = word.lower()
        tokens.append(_Token(kind, word, place, match["unit"] or ""))
        at = match.end()
    return [*tokens, _Token("end", "", Place(text, len(text), len(text)))]


def _unreadable(text: str, at: int) -> PredicateError:
    char = text[at]
    if char in "'\"":
        return PredicateError(f"the string is not closed by {char}", Place(text, at, len(text)))
    mend = "Write a percentage without a space, e.g. 30%" if char == "%" else ""
    return PredicateError(f"unexpected {char!r}", Place(text, at, at + 1), mend=mend)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._rest = _tokens(text)[::-1]
        self._depth = 0

    def whole(self) -> Expr:
        if self._rest[-1].kind == "end":
            raise PredicateError("the predicate is empty", self._rest[-1].at)
        expr = self._or()
        token = self._rest[-1]
        if token.kind in COMPARISONS:
            raise PredicateError(
                "comparisons do not chain", token.at, mend="Use `between ... and ...`, or join two with `and`"
            )
        if token.kind != "end":
            raise self._unexpected("the end")
        if _height(expr) > _MAX_HEIGHT:
            raise PredicateError(
                f"more than {_MAX_HEIGHT} operations in a chain", expr.at, mend="Use `in (...)`"
            )
        return expr

    def _or(self) -> Expr:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise PredicateError(f"more than {_MAX_DEPTH} levels of parentheses", self._rest[-1].at)
        left = self._and()
        while self._take("or"):
            left = self._binary("or", left, self._and())
        self._depth -= 1
        return left

    def _and(self) -> Expr:
        left = self._not()
        while self._take("and"):
            left = self._binary("and", left, self._not())
        return left

    def _not(self) -> Expr:
        negations = []
        while token := self._take("not"):
            negations.append(token)
        expr = self._comparison()
        for token in reversed(negations):
            expr = Not(expr, at=self._span(token.at.start, expr))
        return expr

    def _comparison(self) -> Expr:
        left = self._sum()
        if token := self._take(*COMPARISONS):
            return self._binary(token.kind, left, self._sum())
        if self._take("is"):
            negated = self._take("not")
            end = self._expect("null")
            found: Expr = IsNull(left, at=Place(self._text, left.at.start, end.at.end))
            return Not(found, at=found.at) if negated else found
        negated = self._take("not")
        if negated and self._rest[-1].kind not in ("in", "between", "like"):
            raise self._unexpected("`in`, `between` or `like`")
        found = self._membership(left)
        return Not(found, at=found.at) if negated else found

    def _membership(self, left: Expr) -> Expr:
        if self._take("in"):
            self._expect("(")
            options = [self._sum()]
            while self._take(","):
                options.append(self._sum())
            end = self._expect(")")
            return In(left, tuple(options), at=Place(self._text, left.at.start, end.at.end))
        if self._take("between"):
            low = self._sum()
            self._expect("and")
            high = self._sum()
            return Between(left, low, high, at=self._span(left.at.start, high))
        if self._take("like"):
            token = self._expect("string")
            pattern = Literal(_unquote(token.text), at=token.at)
            return Like(left, pattern, at=self._span(left.at.start, pattern))
        return left

    def _sum(self) -> Expr:
        left = self._product()
        while token := self._take("+", "-"):
            left = self._binary(token.kind, left, self._product())
        return left

    def _product(self) -> Expr:
        left = self._unary()
        while token := self._take("*", "/"):
            left = self._binary(token.kind, left, self._unary())
        return left

    def _unary(self) -> Expr:
        signs = []
        while token := self._take("-"):
            signs.append(token)
        expr = self._atom()
        for token in reversed(signs):
            expr = Negate(expr, at=self._span(token.at.start, expr))
        return expr

    def _atom(self) -> Expr:
        token = self._rest[-1]
        if token.kind == "number":
            return self._number()
        if self._take("("):
            expr = self._or()
            self._expect(")")
            return expr
        if self._take("string"):
            return Literal(_unquote(token.text), at=token.at)
        if self._take("true", "false"):
            return Literal(token.kind == "true", at=token.at)
        if self._take("name"):
            return self._call(token) if self._rest[-1].kind == "(" else Name(token.text, at=token.at)
        if token.kind == "null":
            raise PredicateError("nothing equals null", token.at, mend="Write `is null` or `is not null`")
        raise self._unexpected("a column, a number or a string")

    def _number(self) -> Literal:
        token = self._expect("number")
        if token.unit and token.unit not in UNITS:
            hint = nearest(token.unit, list(UNITS)) or f"Units are {', '.join(UNITS)}"
            raise PredicateError(f"unknown unit {token.unit!r}", token.at, mend=hint)
        return Literal(Decimal(token.text), token.unit, at=token.at)

    def _call(self, function: _Token) -> Quantile:
        if function.text != "quantile":
            what = f"there is no function {function.text!r}"
            raise PredicateError(what, function.at, mend="The only one is quantile(column, q)")
        self._expect("(")
        column = self._expect("name")
        self._expect(",")
        q = self._number()
        by = None
        if self._take(","):
            word = self._rest[-1]
            if word.text != "by":
                raise self._unexpected("`by=column`")
            self._rest.pop()
            self._expect("=")
            by = self._expect("name")
        end = self._expect(")")
        share = _share(q)
        place = Place(self._text, function.at.start, end.at.end)
        return Quantile(_name(column), share, _name(by) if by else None, at=place)

    def _binary(self, operator: str, left: Expr, right: Expr) -> Binary:
        return Binary(operator, left, right, at=self._span(left.at.start, right))

    def _span(self, start: int, last: Expr) -> Place:
        return Place(self._text, start, last.at.end)

    def _take(self, *kinds: str) -> _Token | None:
        return self._rest.pop() if self._rest[-1].kind in kinds else None

    def _expect(self, kind: str) -> _Token:
        token = self._take(kind)
        if token is None:
            raise self._unexpected({"name": "a column", "string": "a string"}.get(kind, f"`{kind}`"))
        return token

    def _unexpected(self, wanted: str) -> PredicateError:
        token = self._rest[-1]
        if token.kind in _INSTEAD:
            return PredicateError(
                f"`{token.text}` is not known here", token.at, mend=f"Write `{_INSTEAD[token.kind]}`"
            )
        found = "the text ends" if token.kind == "end" else f"found {token.text!r}"
        return PredicateError(f"expected {wanted}, but {found}", token.at)


def _height(expr: Expr) -> int:
    height, level = 0, [expr]
    while level:
        height, level = height + 1, [child for node in level for child in node.children]
    return height


def _name(token: _Token) -> Name:
    return Name(token.text, at=token.at)


def _share(q: Literal) -> Decimal:
    value = q.value
    assert isinstance(value, Decimal)
    value *= UNITS["%"][1] if q.unit == "%" else 1
    if q.unit not in ("", "%") or not 0 <= value <= 1:
        raise PredicateError("the q of a quantile is a share from 0 to 1", q.at)
    return value


def _unquote(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)
