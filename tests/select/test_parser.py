"""Text to tree: what means the same, where each node stands, and what a wrong text is told."""

from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from thresher.operators.select.expression import Expr, PredicateError
from thresher.operators.select.parser import parse

_ATOMS = [
    "sharpness", "caption.en.long", "512px", "30%", "1e3", "true", "'it''s'", '"x"',
    "quantile(a, 0.1)", "quantile( a,1%, by=b )", "'mirror' in near_flags",
]  # fmt: skip
_JOINTS = ["or", "and", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", " not between 1 and "]
_FORMS = ["({})", "not {}", "-{}", "- ({})", "{} is null", "{} is  not null", "{} in (1, {})", "{} like '%'"]


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.builds("{} {} {}".format, inner, st.sampled_from(_JOINTS), inner)
    return joined | st.builds(str.format, st.sampled_from(_FORMS), inner, inner)


def _with_own_text(expr: Expr) -> Iterator[Expr]:
    """Nodes, but not the `in` of `not in` nor the 0 of a sign, which have no text of their own."""
    if str(expr) != "-":
        yield expr
    infix = getattr(expr, "operator", "") == "not" and not str(expr).lstrip("( ").startswith("not")
    for operand in expr.operands[0].operands if infix else expr.operands:
        yield from _with_own_text(operand)


@given(st.recursive(st.sampled_from(_ATOMS), _grow, max_leaves=12))
def test_a_nodes_text_reads_back_as_the_node(text: str) -> None:
    try:
        tree = parse(text)
    except PredicateError as error:
        assert error.place.text == text
        assume(False)
    for node in _with_own_text(tree):
        assert parse(str(node)) == node


@given(st.text(alphabet="ab.<=>!'\"()+-*/%, 01px&|~\n", max_size=30))
def test_any_text_parses_or_names_its_fault(text: str) -> None:
    try:
        assert str(parse(text)) in text
    except PredicateError as error:
        assert error.place.text == text


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("a or b and not c == 1 + 2 * 3", "a or (b and (not (c == (1 + (2 * 3)))))"),
        ("a - b - c / d / e < 0", "((a - b) - ((c / d) / e)) < 0"),
        ("a or b or c and d and e", "(a or b) or ((c and d) and e)"),
        ("not a and not not b", "(not a) and (not (not b))"),
        ("a + 1 not between -b * 2 and c or d", "(not ((a + 1) between ((-b) * 2) and c)) or d"),
        ("a + 1 in (2, 3 - 4) == false", ""),
        ("a == not b", ""),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    if grouped:
        assert parse(text) == parse(grouped)
    else:
        with pytest.raises(PredicateError):
            parse(text)


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
        ("'x' not in near_flags", "not ('x' in near_flags)"),
        ("a < 2kB", "a<2KB"),
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
        ("(0 < a <= 5)", "comparisons do not chain"),
        ("a < 5pxx", "unknown unit 'pxx', at character 5 of `a < ▸5pxx◂`. Did you mean `5px`?"),
        ("a < 512PX", "unknown unit 'PX', at character 5 of `a < ▸512PX◂`. Did you mean `512px`?"),
        ("bytes < 2mb", "Did you mean `2MB`?"),
        ("a < 3 or b < 1.5mp", "Did you mean `1.5MP`?"),
        ("a < 3q", "Units are px, B, kB, KB, MB, GB, MP, %"),
        ("a < 1e9999999px", "the number is too large, at character 5"),
        ("a < 5 %", "Write a percentage without a space"),
        ("median(a)", "there is no function 'median', at character 1"),
        ("a == null", "nothing equals null, at character 6 of `a == ▸null◂`. Write `is null`"),
        ("a < quantile(a, 2)", "the q of a quantile is a share from 0 to 1, at character 17"),
        ("a < quantile(a, 1px)", "the q of a quantile is a share from 0 to 1"),
        ("a not 3", "expected `in`, `between` or `like`, but found '3'"),
        ("a in ()", "expected a column, a number or a string, but found ')'"),
        ("(a < 1", "expected `)`, but the text ends"),
        ("a b", "expected the end, but found 'b'"),
        ("(" * 60 + "a", "more than 50 levels inside each other"),
        ("-" * 60 + "a < 3", "more than 50 levels inside each other"),
        (" or ".join(["a"] * 200), "more than 100 operations in a chain"),
    ],
)
def test_faults_are_told_with_their_place(text: str, message: str) -> None:
    with pytest.raises(PredicateError) as error:
        parse(text)
    assert message in str(error.value)
