"""Predicates over the index: `source == 'x' and not sharpness < 10`, and nothing else."""

import ast
from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.schemas.errors import UsageError, nearest

_COMPARISONS = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}


def evaluated(where: str, rows: pa.Table, columns: Sequence[str] = ()) -> NDArray[np.bool_]:
    """For which rows of an index `where` holds; it does not for a row that lacks a value it compares.

    Names are columns of the index, or scores; those in `columns` may be scores that no row has. Raises
    UsageError for anything but names, numbers, strings, comparisons, `and`, `or` and `not`.
    """
    try:
        told = _value(ast.parse(where, mode="eval").body, partial(_column, rows, columns))
        return np.asarray(pc.fill_null(told.cast(pa.bool_()), False))
    except (SyntaxError, pa.ArrowException, AttributeError, TypeError) as error:
        mend = "Say e.g. `source == 'photos' and sharpness > 10`"
        raise UsageError(f"{where!r} is no predicate: {error}", mend=mend) from error


def _value(node: ast.expr, column: Callable[[str], Any]) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return pa.scalar(value)
        case ast.Name() | ast.Attribute():
            return column(ast.unparse(node))
        case ast.BoolOp(op=op, values=values):
            join = pc.and_kleene if isinstance(op, ast.And) else pc.or_kleene
            return reduce(join, [_value(value, column) for value in values])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return pc.invert(_value(operand, column))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return pc.negate(_value(operand, column))
        case ast.Compare(ops=ops, comparators=right):
            sides = [_value(side, column) for side in (node.left, *right)]
            told = [_COMPARISONS[type(op)](*pair) for op, pair in zip(ops, pairwise(sides), strict=True)]
            return reduce(pc.and_kleene, told)
    raise TypeError(f"{ast.unparse(node)!r} is not allowed here")


def _column(rows: pa.Table, columns: Sequence[str], name: str) -> Any:
    flat = [field.name for field in rows.schema if not pa.types.is_nested(field.type)]
    if name in flat:
        return rows[name]
    scores = rows["scores"].combine_chunks()
    known = {*columns, *pc.unique(scores.keys).to_pylist()}
    if name not in known:
        raise UsageError(f"no column or score is named {name!r}", mend=nearest(name, [*flat, *sorted(known)]))
    return pc.map_lookup(scores, name, "first")
