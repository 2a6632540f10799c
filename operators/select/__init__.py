"""select: drop by predicates, cap by quotas. The first reason that holds names the drop."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pyarrow import feather
from pydantic import BeforeValidator, Field

from thresher.operators.base import Context, Decide, Params, TableReader
from thresher.operators.registry import operator
from thresher.operators.select.checker import typecheck
from thresher.operators.select.evaluate import Thresholds
from thresher.operators.select.expression import (
    Expr,
    Quantile,
    bounds_of,
    column_names,
    located,
    quantiles_in,
)
from thresher.operators.select.parser import parse
from thresher.operators.select.quantile import thresholds_of
from thresher.operators.select.quota import AtMost, apply_quota, decided
from thresher.operators.select.rules import Rule, decide_rows
from thresher.operators.shuffle import Slab, slabs_of
from thresher.schemas import Column, FieldError
from thresher.schemas.decisions import DECISION
from thresher.schemas.reasons import check_drop_reason
from thresher.schemas.sidecar import plain

_LISTED = 20


class Block(Params):
    """Drops for some records only."""

    where: dict[str, str | bool | int | list[str | bool | int]] = Field(
        min_length=1, description="column: value, or column: [values]; all must fit"
    )
    drop: dict[str, str] = Field(description="reason: predicate")

    def condition(self) -> str:
        """`where` as a predicate."""
        return " and ".join(_equals(column, value) for column, value in self.where.items())


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict | AtMost) else value


class SelectParams(Params):
    """What is dropped."""

    drop: dict[str, str] = Field({}, description="reason: predicate, in order; the first that holds counts")
    keep_anyway: str | None = Field(None, description="predicate that overrides every drop, but no quota")
    where: Annotated[list[Block], BeforeValidator(_as_list, json_schema_input_type=Block | list[Block])] = (
        Field([], description="drops for the records of one source or category")
    )
    at_most: Annotated[
        list[AtMost], BeforeValidator(_as_list, json_schema_input_type=AtMost | list[AtMost])
    ] = Field([], description="quotas, applied in order to what the predicates keep")
    score_only: bool = Field(False, description="drop nothing, only count what would be dropped")


@operator("select")
class Select(Decide):
    """Drops records by predicates over their columns, then caps groups.

    A null makes a predicate false and is counted. Quantiles are taken over all live records of the
    table, in a `where` block too (`by=source` takes them for each source).
    """

    kinds = ("image", "interleaved")
    params_model = SelectParams
    source = "ours; quantiles by radix selection"

    def needs(self) -> tuple[str, ...]:
        """The columns that predicates and quotas name."""
        quotas = [name for quota in self.params.at_most for name in quota.columns()]
        return tuple(dict.fromkeys(_columns(self._rules()) + quotas))

    def check(self, available: Mapping[str, Column]) -> None:
        """Raise FieldError for an unknown reason or column, a wrong type or unit, an impossible bound."""
        for rule in self._rules():
            wrong = None if rule.keeps else check_drop_reason(rule.reason)
            if wrong:
                raise FieldError(wrong, rule.path)
            if rule.when is not None:
                with located(*rule.path[:2], "where"):
                    typecheck(rule.when, available)
            with located(*rule.path):
                typecheck(rule.expr, available)
        for i, quota in enumerate(self.params.at_most):
            with located("at_most", i):
                quota.check(available)

    def decide(self, table: TableReader, context: Context) -> Iterator[tuple[int, pa.Table]]:
        """Facts: `bounds`, `quantiles`, `nulls_seen`, `kept_anyway`; with `score_only` `would_drop`."""
        rules = self._rules()
        asked = quantiles_in(*(expr for rule in rules for expr in rule.predicates))
        thresholds = thresholds_of(asked, table, context)
        slabs = slabs_of(table.parts)
        work = partial(_decide_slab, table=table, rules=rules, thresholds=thresholds, scratch=context.scratch)
        rows, kept_anyway, nulls = 0, 0, Counter[str]()
        for counted in context.runner.map(work, slabs):
            rows += counted[0]
            kept_anyway += counted[1]
            nulls.update(counted[2])
        for step, quota in enumerate(self.params.at_most):
            apply_quota(quota, step, rows, table, context)
        context.facts["bounds"] = [fact for rule in rules for fact in _bound_facts(rule, thresholds)]
        context.facts["quantiles"] = [_quantile_fact(q, thresholds) for q in asked]
        context.facts["nulls_seen"] = {reason: n for reason, n in sorted(nulls.items()) if n}
        context.facts["kept_anyway"] = kept_anyway
        would_drop = Counter[str]()
        for slab in slabs:
            decisions = feather.read_table(decided(slab, context.scratch, len(self.params.at_most)))
            if self.params.score_only:
                would_drop.update(decisions["reason"].drop_null().to_pylist())
                kept = decisions.select(["row", "also"]).append_column(
                    "kept", pa.repeat(True, len(decisions))
                )
                decisions = pa.concat_tables([DECISION.empty_table(), kept], promote_options="default")
            part_of = decisions["row"].to_numpy() >> np.uint64(24)
            ends = np.searchsorted(part_of, slab.parts, side="right")
            for part, start, end in zip(slab.parts, [0, *ends], ends, strict=False):
                yield part, decisions.slice(start, end - start)
        if self.params.score_only:
            context.facts["would_drop"] = dict(sorted(would_drop.items()))

    def _rules(self) -> list[Rule]:
        rules = [_rule(("drop", reason), text) for reason, text in self.params.drop.items()]
        for i, block in enumerate(self.params.where):
            with located("where", i, "where"):
                when = parse(block.condition())
            rules += [_rule(("where", i, "drop", reason), text, when) for reason, text in block.drop.items()]
        keep = self.params.keep_anyway
        return rules if keep is None else [*rules, _rule(("keep_anyway",), keep)]


def _rule(path: tuple[str | int, ...], text: str, when: Expr | None = None) -> Rule:
    with located(*path):
        return Rule(str(path[-1]), parse(text), when, path)


def _columns(rules: Sequence[Rule]) -> list[str]:
    return column_names(*(expr for rule in rules for expr in rule.predicates))


def _decide_slab(
    slab: Slab, *, table: TableReader, rules: list[Rule], thresholds: Thresholds, scratch: Path
) -> tuple[int, int, dict[str, int]]:
    """Write the decisions on some parts, quotas apart; rows, kept anyway, nulls by reason."""
    rows = slab.read(table, _columns(rules))
    decisions, kept_anyway, nulls = decide_rows(rows, rules, thresholds)
    feather.write_feather(decisions, decided(slab, scratch, 0))
    return len(rows), kept_anyway, nulls


def _equals(column: str, value: Any) -> str:
    """`column == value`, or `column in (values)`, as a predicate."""
    if isinstance(value, list):
        return f"{column} in ({', '.join(map(_quoted, value))})"
    return f"{column} == {_quoted(value)}"


def _quoted(value: str | bool | int) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()


def _bound_facts(rule: Rule, thresholds: Thresholds) -> Iterator[dict[str, Any]]:
    """Every comparison of a column with a number, as the report shows it."""
    for bound in (bound for node in rule.expr.walk() for bound in bounds_of(node)):
        number = _number(bound.value, thresholds)
        if number is not None:
            yield {
                "reason": rule.reason,
                "column": bound.column,
                "operator": bound.operator,
                "value": number,
                "expression": rule.expr.at.text,
                "calibrate": isinstance(bound.value, Quantile),
            }


def _number(bound: Decimal | str | bool | Quantile, thresholds: Thresholds) -> float | None:
    if isinstance(bound, Quantile):
        value: pa.Scalar = thresholds[bound].value
        return plain(value.as_py(), value.type)
    return float(bound) if isinstance(bound, Decimal) else None


def _quantile_fact(asked: Quantile, thresholds: Thresholds) -> dict[str, Any]:
    found = thresholds[asked]
    fact: dict[str, Any] = {"expression": str(asked), "value": _number(asked, thresholds), "rows": found.rows}
    if asked.by is None:
        return fact
    return fact | {"small_categories": found.small[:_LISTED], "small_count": len(found.small)}
