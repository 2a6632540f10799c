"""Exact quantiles of a table in passes over its parts: a radix histogram on order-preserving keys.

Each pass counts 16 bits of the keys and so fixes 16 bits of every answer: two passes for float32 and
short integers, four for 64 bits. Counts only add up, so the result does not depend on parts, order or
workers (sketches such as KLL and t-digest do depend on them).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.operators.base import Context, TableReader
from thresher.operators.select.expression import Quantile
from thresher.operators.select.order import from_keys, key_bits, to_keys

MIN_CATEGORY = 200
"""A smaller category takes the whole table's threshold: its tails say too little."""

_DIGIT = 16
_CHUNK = 16

Chunk = tuple[int, list[int]]


def chunks_of(parts: Sequence[int]) -> list[Chunk]:
    """Parts in groups that make one task each: (number of the chunk, its parts)."""
    return [(i, list(parts[at : at + _CHUNK])) for i, at in enumerate(range(0, len(parts), _CHUNK))]


@dataclass(frozen=True)
class Threshold:
    """What a `quantile(...)` is worth. `value` is null if its column has no values."""

    value: pa.Scalar
    rows: int
    """How many values it was taken from."""
    categories: pa.Array | None = None
    values: pa.Array | None = None
    small: list[str] = field(default_factory=list)
    """Categories with fewer than 200 values, which take the whole table's threshold."""

    def for_rows(self, by: pa.Array | None, rows: int) -> pa.Array:
        """The threshold of each row; `by` holds their categories."""
        if by is None or self.values is None or not len(self.values):
            return pa.repeat(self.value, rows)
        own = self.values.take(pc.index_in(by, value_set=self.categories))
        return pc.coalesce(own, self.value)


class _Wanted(NamedTuple):
    """Which rows the next pass counts: pairs of a category and the leading bits of a key."""

    categories: pa.Array
    prefixes: NDArray[np.uint64]
    pairs: NDArray[np.int64]
    """category number * len(prefixes) + prefix number, sorted."""


class _Question(NamedTuple):
    column: str
    by: str | None
    bits: int
    shift: int
    wanted: _Wanted | None


def thresholds_of(
    asked: Sequence[Quantile], table: TableReader, context: Context
) -> dict[Quantile, Threshold]:
    """The threshold of each quantile over the live rows of the whole table."""
    sides = {(q.column.name, by) for q in asked for by in (None, q.by.name if q.by else None)}
    searches = {
        (column, by): _Search(
            column,
            by,
            table.columns[column].dtype,
            sorted({q.q for q in asked if q.column.name == column}),
        )
        for column, by in sorted(sides, key=str)
    }
    level = 0
    while open_ones := [s for s in searches.values() if not s.done]:
        for search, counts in zip(
            open_ones, _count_all([s.question() for s in open_ones], level, table, context), strict=True
        ):
            search.narrow(counts)
        level += 1
    return {q: _threshold(q, searches) for q in asked}


def _threshold(asked: Quantile, searches: "dict[tuple[str, str | None], _Search]") -> Threshold:
    whole = searches[asked.column.name, None]
    answers = whole.answers(asked.q)
    value = answers[0] if len(answers) else pa.scalar(None, answers.type)
    rows = int(whole.sizes.sum())
    if asked.by is None:
        return Threshold(value, rows)
    by = searches[asked.column.name, asked.by.name]
    return Threshold(value, rows, by.categories, by.answers(asked.q), by.small)


class _Search:
    """The state of one column's quantiles, between passes."""

    def __init__(self, column: str, by: str | None, dtype: pa.DataType, qs: list[Decimal]) -> None:
        self._column, self._by, self._qs = column, by, qs
        self._dtype = pa.float32() if pa.types.is_float16(dtype) else dtype
        self._bits = self._shift = key_bits(dtype)
        self.categories: pa.Array | None = None
        self.sizes = np.zeros(0, np.int64)
        self.small: list[str] = []
        # One cursor for each pair of a category and a q, category by category.
        self._category = np.zeros(0, np.int64)
        self._prefix = np.zeros(0, np.uint64)
        self._rank = np.zeros(0, np.int64)

    @property
    def done(self) -> bool:
        return self._shift == 0

    def question(self) -> _Question:
        self._shift -= _DIGIT
        return _Question(self._column, self._by, self._bits, self._shift, self._wanted())

    def answers(self, q: Decimal) -> pa.Array:
        """The q-quantile of each category."""
        keys = self._prefix[self._qs.index(q) :: len(self._qs)]
        return from_keys(keys, self._dtype)

    def narrow(self, counts: pa.Table) -> None:
        """Fix the next 16 bits of every answer from `category, prefix, count`."""
        if self.categories is None:
            self._start(counts)
        number = pc.fill_null(pc.index_in(counts["category"], value_set=self.categories), -1).to_numpy()
        prefix, count = counts["prefix"].to_numpy(), counts["count"].to_numpy()
        order = np.lexsort((prefix, number))
        number, prefix, total = number[order], prefix[order], np.cumsum(count[order])
        before = np.concatenate([[0], total])
        starts = np.searchsorted(number, np.arange(len(self.sizes) + 1))
        for i, category in enumerate(self._category):
            lo, hi = starts[category], starts[category + 1]
            lo += np.searchsorted(prefix[lo:hi], self._prefix[i] << np.uint64(_DIGIT))
            found = np.searchsorted(total, before[lo] + self._rank[i])
            self._rank[i] -= before[found] - before[lo]
            self._prefix[i] = prefix[found]

    def _start(self, counts: pa.Table) -> None:
        sizes = counts.group_by("category").aggregate([("count", "sum")])
        if self._by is not None:
            large = pc.greater_equal(sizes["count_sum"], MIN_CATEGORY)
            names = sizes.filter(pc.invert(large))["category"].to_pylist()
            self.small = sorted("null" if name is None else str(name) for name in names)
            sizes = sizes.filter(large)
        self.categories = sizes["category"].combine_chunks()
        self.sizes = sizes["count_sum"].to_numpy()
        self._category = np.repeat(np.arange(len(self.sizes)), len(self._qs))
        self._prefix = np.zeros(len(self._category), np.uint64)
        ranks = [max(1, math.ceil(q * int(n))) for n in self.sizes for q in self._qs]
        self._rank = np.array(ranks, np.int64)

    def _wanted(self) -> _Wanted | None:
        if self.categories is None:
            return None
        prefixes, number = np.unique(self._prefix, return_inverse=True)
        return _Wanted(self.categories, prefixes, np.unique(self._category * len(prefixes) + number))


def _count_all(
    questions: list[_Question], level: int, table: TableReader, context: Context
) -> Iterator[pa.Table]:
    """For each question the counts over all parts: `category, prefix, count`."""
    work = partial(_count_chunk, table=table, questions=questions, folder=context.scratch / f"count-{level}")
    (context.scratch / f"count-{level}").mkdir()
    merged: list[pa.Table | None] = [None] * len(questions)
    for paths in context.runner.map(work, chunks_of(table.parts)):
        for i, path in enumerate(paths):
            counts = _read(Path(path))
            Path(path).unlink()
            merged[i] = counts if merged[i] is None else _add_up(pa.concat_tables([merged[i], counts]))
    empty = pa.schema({"category": pa.int8(), "prefix": pa.uint64(), "count": pa.int64()}).empty_table()
    return iter(empty if counts is None else counts for counts in merged)


def _count_chunk(chunk: Chunk, *, table: TableReader, questions: list[_Question], folder: Path) -> list[str]:
    """Count the keys of some parts; the paths of one file for each question."""
    number, parts = chunk
    columns = sorted({name for q in questions for name in (q.column, q.by) if name})
    rows = pa.concat_tables([table.read(part, columns) for part in parts])
    paths = []
    for i, question in enumerate(questions):
        path = folder / f"{i}-{number}.arrow"
        counts = _count(rows, question)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, counts.schema) as writer:
            writer.write_table(counts)
        paths.append(str(path))
    return paths


def _count(rows: pa.Table, question: _Question) -> pa.Table:
    rows = rows.filter(pc.is_valid(rows[question.column]))
    keys = to_keys(rows[question.column].to_numpy())
    category = rows[question.by] if question.by else pa.repeat(pa.scalar(0, pa.int8()), len(rows))
    if question.wanted is not None:
        chosen = _chosen(keys >> np.uint64(question.shift + _DIGIT), category, question.wanted)
        keys, category = keys[chosen], category.filter(pa.array(chosen))
    prefix = pa.array(keys >> np.uint64(question.shift))
    counted = pa.table({"category": category, "prefix": prefix, "count": np.ones(len(keys), np.int64)})
    return _add_up(counted)


def _chosen(
    prefix: NDArray[np.uint64], category: pa.Array | pa.ChunkedArray, wanted: _Wanted
) -> NDArray[np.bool_]:
    number = pc.fill_null(pc.index_in(category, value_set=wanted.categories), -1).to_numpy().astype(np.int64)
    if len(wanted.prefixes) == 0:
        return np.zeros(len(prefix), np.bool_)
    place = np.minimum(np.searchsorted(wanted.prefixes, prefix), len(wanted.prefixes) - 1)
    known = (wanted.prefixes[place] == prefix) & (number >= 0)
    return known & np.isin(number * len(wanted.prefixes) + place, wanted.pairs)


def _add_up(counts: pa.Table) -> pa.Table:
    added = counts.group_by(["category", "prefix"]).aggregate([("count", "sum")])
    return added.rename_columns(["category", "prefix", "count"])


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
