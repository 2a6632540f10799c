"""Predicates: parse a text, check it against columns, evaluate it over a table.

expr = parse("short_side < 512px or sharpness < quantile(sharpness, 1%)")
typecheck(expr, columns)
thresholds = thresholds_of(quantiles_in(expr), reader, context)
evaluate(expr, table, thresholds)
"""

from thresher.operators.select.checker import typecheck
from thresher.operators.select.evaluate import evaluate
from thresher.operators.select.expression import Expr, PredicateError
from thresher.operators.select.parser import parse
from thresher.operators.select.quantile import thresholds_of
from thresher.operators.select.trees import Comparison, bounds_of, column_names, quantiles_in

__all__ = [
    "Comparison",
    "Expr",
    "PredicateError",
    "bounds_of",
    "column_names",
    "evaluate",
    "parse",
    "quantiles_in",
    "thresholds_of",
    "typecheck",
]
