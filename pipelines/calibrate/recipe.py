"""A calibrated bound put into a recipe file: two places of its text change, and nothing else.

The number in the predicate, and a comment above it: the command, the interval, and the ids of the sample
(starts of them, the first SHOWN; all of them in `calibration/NAME.json` beside the recipe).
"""

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from thresher.operators.select.expression import (
    COMPARISONS,
    Expr,
    Name,
    Operation,
    Place,
    Quantile,
    comparisons,
    constant,
)
from thresher.operators.select.parser import parse as parse_predicate
from thresher.pipelines.calibrate.bounds import Bound
from thresher.pipelines.store.files import write_bytes, write_json
from thresher.schemas.document import Document, Keys, parse, read
from thresher.schemas.errors import FieldError, UsageError

MARK = "# calibrated: "
SHOWN = 100


class Found(NamedTuple):
    """A predicate of a recipe that compares a column with a number."""

    keys: Keys
    line: int
    sign: str
    start: int
    end: int
    """Where the number stands in the predicate."""
    text: str
    """The predicate."""

    @property
    def reason(self) -> str:
        """What it drops for."""
        return str(self.keys[-1])


def predicates(document: Document, column: str) -> list[Found]:
    """Every comparison of `column` with a number or a quantile in the drops of a recipe's select steps."""
    found = []
    for keys, node in _scalars(document.node, ()):
        if len(keys) < 7 or keys[0] != "tables" or keys[4] != "select" or keys[-2] != "drop":
            continue
        try:
            expr = parse_predicate(node.value)
        except FieldError:
            continue
        for sign, place in _compared(expr, column):
            found.append(Found(keys, node.start_mark.line, sign, place.start, place.end, node.value))
    return found


def write(
    file: Path,
    column: str,
    bound: Bound,
    reason: str | None,
    command: str,
    ids: Sequence[bytes],
    facts: dict[str, Any],
) -> Path:
    """Put the bound into the recipe, with a comment; returns where all ids of the sample were written.

    Raises UsageError where no predicate, or more than one, names the column, or it drops the other side."""
    read(file)  # tells what is wrong with it
    text = file.read_bytes().decode("utf-8")
    document = parse(text, str(file))
    one = _chosen(file, predicates(document, column), column, bound, reason)
    node = _node(document.node, one.keys)
    predicate = one.text[: one.start] + bound.text + one.text[one.end :]
    start, end = node.start_mark.index, node.end_mark.index
    changed = text[:start] + _quoted(predicate, node) + text[end:]
    lines = changed.split("\n")
    key_line = _key_line(document.node, one.keys)
    indent = lines[key_line][: len(lines[key_line]) - len(lines[key_line].lstrip())]
    first = _old_comment(lines, key_line)
    listing = file.parent / "calibration" / f"{one.reason}.json"
    comment = _comment(command, bound, ids, f"calibration/{one.reason}.json")
    lines[first:key_line] = [f"{indent}{line}" for line in comment]
    _check(file, document, "\n".join(lines), one.keys, predicate)
    write_json(listing, facts | {"sample": [record.hex() for record in ids]})
    write_bytes(file, "\n".join(lines).encode())
    return listing


def _chosen(file: Path, found: list[Found], column: str, bound: Bound, reason: str | None) -> Found:
    line = f'{reason or "custom." + column}: "{column} {bound.sign} {bound.text}"'
    mine = [f for f in found if reason in (None, f.reason)]
    if not mine:
        asked = f" for the reason {reason!r}" if reason else ""
        what = f"no predicate of a select step compares {column!r} with a number{asked}"
        raise UsageError(what, str(file), f"Add this line below a `drop:`  {line}")
    same = [f for f in mine if f.sign == bound.sign]
    if len(same) > 1:
        where = "; ".join(f"line {f.line + 1}: {f.reason}: {f.text}" for f in same)
        what = f"{len(same)} predicates compare {column!r} with a number: {where}"
        raise UsageError(what, str(file), "Say which with --reason, or write the bound in by hand")
    if not same:
        what = f"the predicate {mine[0].text!r} picks the other side of the bound {bound.sign} {bound.text}"
        raise UsageError(
            what, f"{file}:{mine[0].line + 1}", "Turn its comparison, or the classes (--positive)"
        )
    return same[0]


def _compared(expr: Expr, column: str) -> Iterator[tuple[str, Place]]:
    """What side the comparisons drop, and where their numbers stand; none in what is negated."""
    if any(isinstance(node, Operation) and node.operator == "not" for node in expr.walk()):
        return
    for left, operator, right in (c for node in expr.walk() for c in comparisons(node)):
        for name, sign, other in ((left, operator, right), (right, COMPARISONS[operator], left)):
            number = isinstance(other, Quantile) or isinstance(constant(other), Decimal)
            if isinstance(name, Name) and name.name == column and number and sign[0] in "<>":
                yield sign[0], other.at


def _scalars(node: Node, keys: Keys) -> Iterator[tuple[Keys, ScalarNode]]:
    if isinstance(node, ScalarNode):
        yield keys, node
    elif isinstance(node, MappingNode):
        for key, child in node.value:
            yield from _scalars(child, (*keys, key.value))
    elif isinstance(node, SequenceNode):
        for i, child in enumerate(node.value):
            yield from _scalars(child, (*keys, i))


def _node(root: Node, keys: Keys) -> ScalarNode:
    return next(node for found, node in _scalars(root, ()) if found == keys)


def _key_line(root: Node, keys: Keys) -> int:
    """The line, from 0, on which the last key of `keys` stands."""
    node = root
    for key in keys[:-1]:
        node = (
            next(c for k, c in node.value if k.value == key)
            if isinstance(node, MappingNode)
            else node.value[key]
        )
    return int(next(k for k, _ in node.value if k.value == keys[-1]).start_mark.line)


def _quoted(predicate: str, node: ScalarNode) -> str:
    """As a YAML scalar in the quotes that it had."""
    if node.style == "'":
        return "'" + predicate.replace("'", "''") + "'"
    return json.dumps(predicate, ensure_ascii=False)


def _old_comment(lines: Sequence[str], key_line: int) -> int:
    """The first line of the comment that an earlier call wrote above `key_line`; that line if none did."""
    first = key_line
    while first and re.match(r"\s*#   ", lines[first - 1]):
        first -= 1
    return first - 1 if first and lines[first - 1].lstrip().startswith(MARK) else key_line


def _comment(command: str, bound: Bound, ids: Sequence[bytes], listing: str) -> list[str]:
    low, high = bound.estimate.low, bound.estimate.high
    starts = [record[: _digits(ids) // 2].hex() for record in ids[:SHOWN]]
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    lines = [f"{bound.text}, 95 % interval {low:.4g} to {high:.4g}, from {len(ids)} records ({listing}):"]
    lines += textwrap.wrap(" ".join(starts) + more, 96)
    return [MARK + command, *(f"#   {line}" for line in lines)]


def _digits(ids: Sequence[bytes]) -> int:
    """Even number of hex digits, from 8, that tell the ids of the sample apart."""
    return next(n for n in range(8, 34, 2) if n >= 32 or len({i[: n // 2] for i in ids}) == len(ids))


def _check(file: Path, before: Document, text: str, keys: Keys, predicate: str) -> None:
    """The new text must be the old recipe with one value changed."""
    wanted = parse(file.read_bytes().decode("utf-8"), str(file))
    target: Any = wanted.data
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = predicate
    try:
        same = parse(text, str(file)).data == wanted.data
    except UsageError:
        same = False
    if not same:
        where = f"{file}:{_key_line(before.node, keys) + 1}"
        raise UsageError(
            "a comment cannot be put above this line", where, "Write the predicate on lines of its own"
        )
