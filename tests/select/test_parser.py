"""Text to tree and back, and what a wrong text is told."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    Quantile,
)
from thresher.operators.select.predicate import PredicateError, parse

_names = st.sampled_from(["sharpness", "short_side", "caption.en.long", "x1", "_y"]).map(Name)
_decimals = st.decimals(0, 10**20, allow_nan=False, allow_infinity=False).map(abs)
_numbers = st.builds(Literal, _decimals, st.sampled_from(["", *UNITS]))
_strings = st.builds(Literal, st.text(max_size=8))
_quantiles = st.builds(Quantile, _names, st.decimals(0, 1, places=4).map(abs), st.none() | _names)
_atoms = _names | _numbers | _strings | _quantiles | st.booleans().map(Literal)


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    operators = st.sampled_from(["or", "and", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/"])
    return st.one_of(
        st.builds(Binary, operators, inner, inner),
        st.builds(Between, inner, inner, inner),
        st.builds(In, inner, st.lists(inner, min_size=1, max_size=2).map(tuple)),
        st.builds(Like, inner, _strings),
        st.builds(IsNull, inner),
        st.builds(Not, inner),
        st.builds(Negate, inner),
    )


@given(st.recursive(_atoms, _grow, max_leaves=12))
def test_a_printed_tree_parses_to_itself(tree: Expr) -> None:
    assert parse(str(tree)) == tree


@given(st.text(alphabet="ab.<=>!'\"()+-*/%, 01px&|~\n", max_size=30))
def test_any_text_parses_or_names_its_fault(text: str) -> None:
    try:
        tree = parse(text)
    except PredicateError as error:
        assert error.place.text == text
    else:
        assert parse(str(tree)) == tree


def test_precedence() -> None:
    assert parse("a or b and not c == 1 + 2 * 3") == Binary(
        "or",
        Name("a"),
        Binary(
            "and",
            Name("b"),
            Not(
                Binary(
                    "==",
                    Name("c"),
                    Binary(
                        "+",
                        Literal(Decimal(1)),
                        Binary("*", Literal(Decimal(2)), Literal(Decimal(3))),
                    ),
                )
            ),
        ),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a not in (1, 2)", "not (a in (1, 2))"),
        ("a not between 1 and 2", "not a between 1 and 2"),
        ("a IS NOT NULL", "not a is null"),
        ("t not like 'x%'", 'NOT t LIKE "x%"'),
        ("a < 30% and b", "(a < 30%) and b"),
        ("t == 'it''s'", 't == "it\'s"'),
        ("quantile(a, 1%)<a", "quantile(a, 0.01) < a"),
    ],
)
def test_two_spellings_of_one_tree(one: str, other: str) -> None:
    assert parse(one) == parse(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the predicate is empty"),
        ("a <", "expected a column, a number or a string, but the text ends, at character 4 of `a <▸◂`"),
        ("a = 3", "`=` is not known here, at character 3 of `a ▸=◂ 3`. Write `==`"),
        ("a < 5 && b", "Write `and`"),
        ("a <> 5", "Write `!=`"),
        ("0 < a < 5", "comparisons do not chain, at character 7 of `0 < a ▸<◂ 5`. Use `between"),
        ("a ~ 3", "unexpected '~', at character 3 of `a ▸~◂ 3`"),
        ("t == 'x", "the string is not closed by ', at character 6 of `t == ▸'x◂`"),
        ("a < 5pxx", "unknown unit 'pxx', at character 5 of `a < ▸5pxx◂`. Did you mean 'px'?"),
        ("a < 5 %", "Write a percentage without a space"),
        ("median(a)", "there is no function 'median', at character 1"),
        ("a == null", "nothing equals null, at character 6 of `a == ▸null◂`. Write `is null`"),
        ("a < quantile(a, 2)", "the q of a quantile is a share from 0 to 1, at character 17"),
        ("a < quantile(a, 1px)", "the q of a quantile is a share from 0 to 1"),
        ("a not 3", "expected `in`, `between` or `like`, but found '3'"),
        ("a in ()", "expected a column, a number or a string, but found ')'"),
        ("(a < 1", "expected `)`, but the text ends"),
        ("a b", "expected the end, but found 'b'"),
        ("(" * 60 + "a", "more than 50 levels of parentheses"),
        (" or ".join(["a"] * 200), "more than 100 operations in a chain"),
    ],
)
def test_faults_are_told_with_their_place(text: str, message: str) -> None:
    with pytest.raises(PredicateError) as error:
        parse(text)
    assert message in str(error.value)
