"""Quotas: at most n records for each value of a column, the best first.

Rows are shuffled by their group and ranked there, by (by, id_hash, id). A rank is a function of the
group's live rows alone. One group must fit in memory, at about 60 bytes a row.
"""

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from thresher.operators.base import Context, Params, TableReader
from thresher.operators.select.checker import find_column, kind_of
from thresher.operators.select.decided import read_decided, write_decided
from thresher.operators.select.expression import Place, PredicateError
from thresher.operators.select.order import to_keys
from thresher.operators.select.quantile import Chunk, chunks_of
from thresher.operators.shuffle import read_partition, top_bits, write_run
from thresher.schemas import Column, Reason
from thresher.schemas.decisions import DECISION
from thresher.schemas.ids import id_halves

ROWS_A_PARTITION = 1 << 22


class AtMost(Params):
    """Keep at most `n` records for each value of the column `per`."""

    per: str = Field(description="column that groups the records; a null belongs to no group")
    n: int = Field(ge=1, description="how many records of a group stay")
    by: str | None = Field(
        None,
        description="column that orders a group, the smallest first, or with `-` the largest; nulls "
        "last, ties by id; without it the order is by id, which is as good as random",
    )

    @property
    def order(self) -> str | None:
        """The column of `by`."""
        return None if self.by is None else self.by.removeprefix("-").strip()

    def columns(self) -> list[str]:
        """The columns that it reads."""
        return [self.per] if self.order is None else [self.per, self.order]

    def check(self, columns: Mapping[str, Column]) -> None:
        """Raise PredicateError, with path `per` or `by`, if they do not fit the columns."""
        found = _find(self.per, self.per, columns, "per")
        if kind_of(found.dtype) == "other":
            what = f"`{self.per}` holds no categories"
            raise PredicateError(what, Place(self.per, 0, len(self.per)), ("per",))
        if self.by is not None and self.order is not None:
            found = _find(self.order, self.by, columns, "by")
            if kind_of(found.dtype) != "number":
                what = f"`{self.order}` is no number"
                raise PredicateError(what, Place(self.by, 0, len(self.by)), ("by",))


def _find(name: str, text: str, columns: Mapping[str, Column], key: str) -> Column:
    try:
        return find_column(name, columns, Place(text, len(text) - len(name), len(text)))
    except PredicateError as error:
        raise error.under(key) from None


def apply_quota(
    quota: AtMost, step: int, rows: int, before: Path, table: TableReader, context: Context
) -> Path:
    """Drop what is over the quota from the decisions in `before`; the folder of the new ones.

    `step` numbers the quotas of a select; `rows` is how many live records there are.
    """
    if rows == 0:
        return before
    partitions = 1 << max(0, (rows - 1) // ROWS_A_PARTITION).bit_length()
    chunks = chunks_of(table.parts)
    folders = [context.scratch / f"quota-{step}-{name}" for name in ("runs", "over", "decided")]
    for folder in folders:
        folder.mkdir()
    runs, over, after = folders
    scatter = partial(_scatter, quota=quota, partitions=partitions, before=before, table=table, runs=runs)
    paths = [Path(path) for path in context.runner.map(scatter, chunks)]
    owner = {part: number for number, parts in chunks for part in parts}
    rank = partial(_rank, quota=quota, runs=paths, over=over, owner=owner, chunks=len(chunks))
    ranked = [Path(path) for path in context.runner.map(rank, range(partitions))]
    apply = partial(_apply, quota=quota, over=ranked, before=before, after=after)
    for _ in context.runner.map(apply, chunks):
        pass
    return after


def _scatter(
    chunk: Chunk, *, quota: AtMost, partitions: int, before: Path, table: TableReader, runs: Path
) -> str:
    """Sort the kept rows of some parts by the partition of their group, into a run."""
    number, parts = chunk
    kept = []
    for part, decided in zip(parts, read_decided(before, number), strict=True):
        rows = table.read(part, ["id", *dict.fromkeys(quota.columns())])
        kept.append(rows.filter(decided["kept"]))
    rows = pa.concat_tables(kept)
    rows = rows.filter(pc.is_valid(rows[quota.per]))
    path = runs / f"{number}.arrow"
    write_run(path, _sort_keys(rows, quota), _partition(rows[quota.per], partitions), partitions)
    return str(path)


def _sort_keys(rows: pa.Table, quota: AtMost) -> pa.Table:
    """`group`, `row`, and the numbers that order a group: `missing`, `key`, `high`, `low`."""
    key, missing = np.zeros(len(rows), np.uint64), np.zeros(len(rows), np.bool_)
    if quota.by is not None and quota.order is not None:
        missing = rows[quota.order].is_null().to_numpy().astype(np.bool_)
        values = pc.fill_null(rows[quota.order], pa.scalar(0, rows[quota.order].type))
        key = to_keys(values.to_numpy())
        if quota.by.startswith("-"):
            key = ~key
        key[missing] = 0
    ids = rows["id"].combine_chunks()
    raw = np.frombuffer(ids.buffers()[1], np.uint8).reshape(-1, 16)
    high, low = id_halves(raw[ids.offset : ids.offset + len(ids)])
    numbers = {"missing": missing, "key": key, "high": high, "low": low}
    return pa.table({"group": rows[quota.per], "row": rows["row"], **numbers})


def _partition(groups: pa.ChunkedArray, partitions: int) -> NDArray[np.int64]:
    """Partition of each group, from a hash of its value's text."""
    coded = groups.combine_chunks().dictionary_encode()
    digests = [
        hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in coded.dictionary.to_pylist()
    ]
    hashes = np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)
    return top_bits(hashes[coded.indices.to_numpy()], partitions)


def _rank(
    p: int, *, quota: AtMost, runs: list[Path], over: Path, owner: Mapping[int, int], chunks: int
) -> str:
    """Rank the groups of one partition; write the rows beyond n, for each chunk of parts."""
    rows = read_partition(runs, p)
    group = rows["group"].combine_chunks().dictionary_encode().indices.to_numpy()
    columns = [rows[name].to_numpy() for name in ("low", "high", "key", "missing")]
    order = np.lexsort((*columns, group))
    group = group[order]
    rank = np.arange(len(group)) - np.searchsorted(group, group) + 1
    beyond = rank > quota.n
    row = rows["row"].to_numpy()[order][beyond]
    part, place = np.unique(row >> np.uint64(24), return_inverse=True)
    chunk = np.array([owner[int(x)] for x in part], np.int64)[place]
    path = over / f"{p}.arrow"
    write_run(path, pa.table({"row": row, "rank": rank[beyond]}), chunk, chunks)
    return str(path)


def _apply(chunk: Chunk, *, quota: AtMost, over: list[Path], before: Path, after: Path) -> int:
    """Write the decisions of some parts with the rows over the quota dropped; how many."""
    number, _ = chunk
    beyond = read_partition(over, number)
    write_decided(after, number, (_drop(decided, beyond, quota) for decided in read_decided(before, number)))
    return len(beyond)


def _drop(decided: pa.Table, beyond: pa.Table, quota: AtMost) -> pa.Table:
    place = pc.index_in(decided["row"], value_set=beyond["row"].combine_chunks())
    hit = pc.is_valid(place).combine_chunks()
    rank = beyond["rank"].combine_chunks().take(place.combine_chunks()).cast(pa.string())
    new = {
        "kept": pc.and_(decided["kept"], pc.invert(hit)),
        "reason": pc.if_else(hit, str(Reason.QUOTA), decided["reason"]),
        "column": pc.if_else(hit, quota.per, decided["column"]),
        "value": pc.if_else(hit, rank, decided["value"]),
        "bound": pc.if_else(hit, str(quota.n), decided["bound"]),
        "also": _with_quota(decided["also"].combine_chunks(), hit.to_numpy(zero_copy_only=False)),
    }
    return pa.table([new.get(name, decided[name]) for name in DECISION.names], schema=DECISION)


def _with_quota(also: pa.ListArray, hit: NDArray[np.bool_]) -> pa.ListArray:
    """The lists of reasons, with `quota` at the end where `hit`."""
    reasons = also.flatten()
    ends = np.cumsum(pc.list_value_length(also).to_numpy())
    index = np.insert(np.arange(len(reasons)), ends[hit], len(reasons))
    offsets = np.concatenate([[0], ends + np.cumsum(hit)]).astype(np.int32)
    values = pa.concat_arrays([reasons, pa.array([str(Reason.QUOTA)])]).take(pa.array(index))
    return pa.ListArray.from_arrays(pa.array(offsets), values)
