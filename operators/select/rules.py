"""Drop rules over the rows of one part: which reason holds first, and the column, value and bound of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.operators.select.evaluate import Thresholds, cast_constant, column_of, evaluate
from thresher.operators.select.expression import (
    COMPARISONS,
    Between,
    Binary,
    Expr,
    In,
    IsNull,
    Like,
    Name,
    Not,
    Quantile,
)
from thresher.operators.select.trees import alternatives, column_names, constant
from thresher.schemas.decisions import DECISION

_TEXT = pa.string()


class Rule(NamedTuple):
    """Drop with `reason` where `expr` holds, among the rows where `when` holds (None: all)."""

    reason: str
    text: str
    expr: Expr
    when: Expr | None
    path: tuple[str | int, ...]
    """Where the predicate stands in the parameters."""


@dataclass
class Tally:
    """Counts that add up over parts."""

    rows: int = 0
    kept_anyway: int = 0
    nulls: Counter[str] = field(default_factory=Counter)
    """Reason -> rows whose predicate was null."""


class _Hit(NamedTuple):
    """The rows that one alternative of a rule dropped."""

    reason: str
    rows: NDArray[np.int64]
    column: str | None
    value: pa.Array
    bound: pa.Array


def decide_rows(
    table: pa.Table, rules: Sequence[Rule], keep_anyway: Expr | None, thresholds: Thresholds, tally: Tally
) -> pa.Table:
    """Decisions (`schemas.decisions.DECISION`) for the rows of `table`, in its order."""
    n = table.num_rows
    reasons = list(dict.fromkeys(rule.reason for rule in rules))
    held = np.zeros((n, len(reasons)), np.bool_)
    free = np.ones(n, np.bool_)
    tally.rows += n
    if keep_anyway is not None:
        keep = evaluate(keep_anyway, table, thresholds)
        tally.nulls["keep_anyway"] += keep.null_count
        free = ~_true(keep)
    undecided, hits = free.copy(), []
    for rule in rules:
        holds = _rule_holds(rule, table, thresholds, tally)
        held[:, reasons.index(rule.reason)] |= holds
        now = undecided & holds
        if now.any():
            hits += _explain(rule, table, thresholds, now)
            undecided &= ~holds
    tally.kept_anyway += int((held.any(axis=1) & ~free).sum())
    return _decisions(table["row"].combine_chunks(), hits, _names(held, reasons))


def _rule_holds(rule: Rule, table: pa.Table, thresholds: Thresholds, tally: Tally) -> NDArray[np.bool_]:
    result = evaluate(rule.expr, table, thresholds)
    if rule.when is not None:
        result = pc.and_kleene(pa.array(_true(evaluate(rule.when, table, thresholds))), result)
    tally.nulls[rule.reason] += result.null_count
    return _true(result)


def _explain(rule: Rule, table: pa.Table, thresholds: Thresholds, rows: NDArray[np.bool_]) -> list[_Hit]:
    """Column, value and bound of the rows: of the first part of an `or` that holds."""
    hits, left = [], rows.copy()
    for expr in alternatives(rule.expr):
        found = np.flatnonzero(left & _true(evaluate(expr, table, thresholds)))
        if not len(found):
            continue
        left[found] = False
        some = table.take(pa.array(found))
        names = column_names(expr)
        value = _text_of(column_of(some, names[0])) if names else pa.nulls(len(found), _TEXT)
        bound = _bound(expr, some, thresholds)
        hits.append(_Hit(rule.reason, found, names[0] if names else None, value, bound))
    return hits


def _bound(expr: Expr, rows: pa.Table, thresholds: Thresholds) -> pa.Array:
    """What the first column of `expr` had to do with its bound, e.g. `< 512`, for each row."""
    if isinstance(expr, Binary) and expr.compares:
        operator, column, bound = expr.operator, expr.left, expr.right
        if not isinstance(column, Name):
            operator, column, bound = COMPARISONS[operator], bound, column
        if isinstance(column, Name):
            text = _bound_value(bound, column, rows, thresholds)
            if text is not None:
                return pc.binary_join_element_wise(operator, text, " ")
    inner = expr.operand if isinstance(expr, Not) else expr
    if isinstance(inner, Between | In | Like | IsNull) and isinstance(inner.operand, Name):
        tail = inner.tail()
        if isinstance(inner, IsNull) and inner is not expr:
            return pa.repeat("is not null", len(rows))
        return pa.repeat(tail if inner is expr else f"not {tail}", len(rows))
    return pa.repeat(evaluated_text(expr, thresholds), len(rows))


def _bound_value(bound: Expr, column: Name, rows: pa.Table, thresholds: Thresholds) -> pa.Array | None:
    if isinstance(bound, Quantile):
        by = column_of(rows, bound.by.name) if bound.by else None
        return _text_of(thresholds[bound].for_rows(by, len(rows)))
    value = constant(bound)
    if value is None:
        return None
    dtype = rows.schema.field(column.name).type
    return pa.repeat(constant_text(value, dtype), len(rows))


def constant_text(value: Decimal | str | bool, dtype: pa.DataType) -> str:
    """A constant as the column's type holds it: the shortest text that reads back."""
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, Decimal) and pa.types.is_integer(dtype) and value != int(value):
        return str(value)
    return str(_text_of(pa.array([cast_constant(value, dtype).as_py()], dtype))[0])


def evaluated_text(expr: Expr, thresholds: Thresholds) -> str:
    """The predicate with each whole-table quantile replaced by its value."""
    text = str(expr)
    for quantile, threshold in thresholds.items():
        if quantile.by is None and threshold.value.is_valid:
            text = text.replace(
                str(quantile), str(_text_of(pa.array([threshold.value.as_py()], threshold.value.type))[0])
            )
    return text


def _text_of(values: pa.Array) -> pa.Array:
    """Values as text, the shortest that reads back; bytes as hex; lists and structs as `...`."""
    dtype = values.type
    if pa.types.is_binary(dtype) or pa.types.is_fixed_size_binary(dtype):
        return pa.array([None if v is None else v.hex() for v in values.to_pylist()], _TEXT)
    if pa.types.is_nested(dtype):
        return pa.array([None if v is None else "..." for v in values.to_pylist()], _TEXT)
    if pa.types.is_float32(dtype) or pa.types.is_float64(dtype):
        values = pc.add(values, pa.scalar(0, dtype))  # -0 to 0
    return values.cast(_TEXT)


def _decisions(row: pa.Array, hits: Sequence[_Hit], also: pa.Array) -> pa.Table:
    n = len(row)
    place = np.full(n, -1, np.int64)
    at = 0
    for hit in hits:
        place[hit.rows] = np.arange(at, at + len(hit.rows))
        at += len(hit.rows)
    index = pa.array(place, mask=place < 0)

    def gathered(pieces: list[pa.Array]) -> pa.Array:
        return pa.concat_arrays(pieces).take(index) if pieces else pa.nulls(n, _TEXT)

    return pa.table(
        [
            row,
            pa.array(place < 0),
            gathered([pa.repeat(hit.reason, len(hit.rows)) for hit in hits]),
            gathered([pa.repeat(pa.scalar(hit.column, _TEXT), len(hit.rows)) for hit in hits]),
            gathered([hit.value for hit in hits]),
            gathered([hit.bound for hit in hits]),
            pa.nulls(n, DECISION.field("keeper").type),
            also,
        ],
        schema=DECISION,
    )


def _names(held: NDArray[np.bool_], reasons: list[str]) -> pa.Array:
    """For each row the reasons that held, in order."""
    offsets = np.concatenate([[0], np.cumsum(held.sum(axis=1))]).astype(np.int32)
    which = pa.array(np.nonzero(held)[1])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(reasons, _TEXT).take(which))


def _true(values: pa.Array) -> NDArray[np.bool_]:
    """Null is not true."""
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), np.bool_)
