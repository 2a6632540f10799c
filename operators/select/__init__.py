"""select: drop by predicates, cap by quotas. The first reason that holds names the drop."""

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from pydantic import BeforeValidator, Field

from thresher.operators.base import Context, Decide, Params, TableReader
from thresher.operators.registry import operator
from thresher.operators.select.checker import typecheck
from thresher.operators.select.decided import read_decided, write_decided
from thresher.operators.select.evaluate import Thresholds
from thresher.operators.select.expression import Expr, PredicateError, Quantile
from thresher.operators.select.parser import parse
from thresher.operators.select.quantile import Chunk, chunks_of, thresholds_of
from thresher.operators.select.quota import AtMost, apply_quota
from thresher.operators.select.rules import Rule, Tally, decide_rows
from thresher.operators.select.trees import bounds_of, column_names, quantiles_in
from thresher.schemas import Column, FieldError
from thresher.schemas.decisions import DECISION
from thresher.schemas.reasons import check_drop_reason
from thresher.schemas.sidecar import plain

_Path = tuple[str | int, ...]
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

    params_model = SelectParams
    source = "ours; quantiles by radix selection"

    def needs(self) -> tuple[str, ...]:
        """The columns that predicates and quotas name."""
        names = [name for rule in self._rules() for name in _rule_columns(rule)]
        if self.params.keep_anyway is not None:
            names += column_names(self._keep())
        names += [name for quota in self.params.at_most for name in quota.columns()]
        return tuple(dict.fromkeys(names))

    def check(self, available: Mapping[str, Column]) -> None:
        """Raise FieldError for an unknown reason or column, a wrong type or unit, an impossible bound."""
        for rule in self._rules():
            wrong = check_drop_reason(rule.reason)
            if wrong:
                raise FieldError(wrong, rule.path)
            if rule.when is not None:
                _check(rule.when, available, (*rule.path[:2], "where"))
            _check(rule.expr, available, rule.path)
        if self.params.keep_anyway is not None:
            _check(self._keep(), available, ("keep_anyway",))
        for i, quota in enumerate(self.params.at_most):
            try:
                quota.check(available)
            except PredicateError as error:
                raise error.under("at_most", i, *error.path) from None

    def decide(self, table: TableReader, context: Context) -> Iterator[tuple[int, pa.Table]]:
        """Facts: `bounds`, `quantiles`, `nulls_seen`, `kept_anyway`; with `score_only` `would_drop`."""
        rules, keep = self._rules(), self._keep() if self.params.keep_anyway is not None else None
        predicates = [e for rule in rules for e in (rule.when, rule.expr) if e] + ([keep] if keep else [])
        asked = list(dict.fromkeys(q for expr in predicates for q in quantiles_in(expr)))
        thresholds = thresholds_of(asked, table, context)
        decided = context.scratch / "decided"
        decided.mkdir()
        tally = _decide_all(rules, keep, thresholds, decided, table, context)
        for i, quota in enumerate(self.params.at_most):
            decided = apply_quota(quota, i, tally.rows, decided, table, context)
        context.facts["bounds"] = self._bounds(thresholds)
        context.facts["quantiles"] = [_quantile_fact(q, thresholds) for q in asked]
        context.facts["nulls_seen"] = {name: n for name, n in sorted(tally.nulls.items()) if n}
        context.facts["kept_anyway"] = tally.kept_anyway
        would_drop: Counter[str] = Counter()
        for number, parts in chunks_of(table.parts):
            for part, decisions in zip(parts, read_decided(decided, number), strict=True):
                if self.params.score_only:
                    would_drop.update(decisions["reason"].drop_null().to_pylist())
                    decisions = _keep_all(decisions)
                yield part, decisions
        if self.params.score_only:
            context.facts["would_drop"] = dict(sorted(would_drop.items()))

    def _rules(self) -> list[Rule]:
        rules = [_rule(reason, text, None, ("drop", reason)) for reason, text in self.params.drop.items()]
        for i, block in enumerate(self.params.where):
            when = _parse(block.condition(), ("where", i, "where"))
            rules += [
                _rule(reason, text, when, ("where", i, "drop", reason)) for reason, text in block.drop.items()
            ]
        return rules

    def _keep(self) -> Expr:
        return _parse(self.params.keep_anyway, ("keep_anyway",))

    def _bounds(self, thresholds: Thresholds) -> list[dict[str, Any]]:
        """Every comparison of a column with a number, as the report shows it."""
        texts = [(rule.reason, rule.text, rule.expr) for rule in self._rules()]
        if self.params.keep_anyway is not None:
            texts.append(("keep_anyway", self.params.keep_anyway, self._keep()))
        return [
            {
                "reason": reason,
                "column": found.column,
                "operator": found.operator,
                "value": value,
                "expression": text,
                "calibrate": isinstance(found.bound, Quantile),
            }
            for reason, text, expr in texts
            for found in bounds_of(expr)
            if (value := _number(found.bound, thresholds)) is not None
        ]


def _decide_all(
    rules: list[Rule],
    keep: Expr | None,
    thresholds: Thresholds,
    folder: Path,
    table: TableReader,
    context: Context,
) -> Tally:
    """Write the decisions of every part, quotas apart; the counts of all."""
    columns = [name for rule in rules for name in _rule_columns(rule)] + (column_names(keep) if keep else [])
    work = partial(
        _decide_chunk,
        table=table,
        columns=list(dict.fromkeys(columns)),
        rules=rules,
        keep=keep,
        thresholds=thresholds,
        folder=folder,
    )
    total = Tally()
    for rows, kept_anyway, nulls in context.runner.map(work, chunks_of(table.parts)):
        total.rows += rows
        total.kept_anyway += kept_anyway
        total.nulls.update(nulls)
    return total


def _decide_chunk(
    chunk: Chunk,
    *,
    table: TableReader,
    columns: list[str],
    rules: list[Rule],
    keep: Expr | None,
    thresholds: Thresholds,
    folder: Path,
) -> tuple[int, int, dict[str, int]]:
    number, parts = chunk
    tally = Tally()
    decided = (decide_rows(table.read(part, columns), rules, keep, thresholds, tally) for part in parts)
    write_decided(folder, number, decided)
    return tally.rows, tally.kept_anyway, dict(tally.nulls)


def _rule(reason: str, text: str, when: Expr | None, path: _Path) -> Rule:
    return Rule(reason, text, _parse(text, path), when, path)


def _parse(text: str, path: _Path) -> Expr:
    try:
        return parse(text)
    except PredicateError as error:
        raise error.under(*path) from None


def _check(expr: Expr, available: Mapping[str, Column], path: _Path) -> None:
    try:
        typecheck(expr, available)
    except PredicateError as error:
        raise error.under(*path) from None


def _rule_columns(rule: Rule) -> list[str]:
    return column_names(rule.expr) + (column_names(rule.when) if rule.when else [])


def _equals(column: str, value: Any) -> str:
    if isinstance(value, list):
        return f"{column} in ({', '.join(_quoted(v) for v in value)})"
    return f"{column} == {_quoted(value)}"


def _quoted(value: str | bool | int) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()


def _number(bound: Decimal | Quantile, thresholds: Thresholds) -> float | None:
    if isinstance(bound, Decimal):
        return float(bound)
    value: pa.Scalar = thresholds[bound].value
    return plain(value.as_py(), value.type)


def _quantile_fact(asked: Quantile, thresholds: Thresholds) -> dict[str, Any]:
    found = thresholds[asked]
    fact: dict[str, Any] = {"expression": str(asked), "value": _number(asked, thresholds), "rows": found.rows}
    if asked.by is not None:
        fact["categories"] = 0 if found.categories is None else len(found.categories)
        fact["small_categories"] = found.small[:_LISTED]
        fact["small_count"] = len(found.small)
    return fact


def _keep_all(decisions: pa.Table) -> pa.Table:
    n = len(decisions)
    new = {"kept": pa.repeat(True, n)} | {
        name: pa.nulls(n, DECISION.field(name).type) for name in ("reason", "column", "value", "bound")
    }
    return pa.table([new.get(name, decisions[name]) for name in DECISION.names], schema=DECISION)
