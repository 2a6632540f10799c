"""`dedupe.exact`: of files with equal bytes or equal pixels, the best stays.

Two shuffles: by SHA-256 of the bytes, then by that of the pixels of each byte group's best file, so
that a group holds all that are linked either way. Every reduce is a function of the multiset of rows
with one key: the number of partitions cannot change a result.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.base import Context, Decide, TableReader
from thresher.operators.dedupe.arrays import Bools, slabs
from thresher.operators.dedupe.captions import alternatives, write_captions
from thresher.operators.dedupe.decisions import decision_table
from thresher.operators.dedupe.groups import (
    MAX_REPORTED,
    PLACEHOLDER_SIZE,
    Job,
    group_bytes,
    group_pixels,
    write_keys,
)
from thresher.operators.dedupe.order import ORDER_COLUMNS, OrderParams
from thresher.operators.registry import operator
from thresher.schemas import Column, Reason

_KEY_BYTES = 112
_PARTITION_BYTES = 512 << 20
_CONFLICT_SAMPLE = 20


@operator("dedupe.exact")
class DedupeExact(Decide):
    """Exact duplicates by bytes and by pixels; each dropped record names its keeper."""

    params_model = OrderParams
    reads = ("bytes_sha", "px_sha", "px_ver", *ORDER_COLUMNS)
    cost = "1 minute of two cores for ten million records"

    partitions = 0
    """Of each shuffle; 0 chooses by size. Never changes a result."""

    def writes(self) -> list[Column]:
        return [
            Column("exact_of", pa.binary(16), "id", "the record that stays in place of this one"),
            Column(
                "exact_kind",
                pa.string(),
                "name",
                "what equals the record that stays",
                values=("bytes", "pixels"),
            ),
            Column("exact_group_size", pa.int64(), "records", "that are equal, this one included", 1),
            Column("alt_texts", pa.list_(pa.string()), "text", "differing captions of the group, at most 16"),
        ]

    def needs(self) -> tuple[str, ...]:
        return (*self.reads, *((self.params.prefer,) if self.params.prefer else ()))

    def check(self, available: Mapping[str, Column]) -> None:
        self.params.check_prefer(available)

    def decide(self, table: TableReader, context: Context) -> Iterator[tuple[int, pa.Table]]:
        if not table.parts:
            return
        groups = slabs(table.parts)
        partitions = self.partitions or _partitions(len(table.parts))
        job = Job(table, self.params, context.scratch, groups, partitions)
        run = context.runner.map
        _drain(run(partial(write_keys, job=job), range(len(groups))))
        _drain(run(partial(group_bytes, job=job), range(partitions)))
        suspects = list(run(partial(group_pixels, job=job), range(partitions)))
        _drain(run(partial(write_captions, job=job), range(len(groups))))
        context.facts.update(_placeholder_facts(suspects))
        conflicts: dict[str, Any] = {"count": 0, "sample": []}
        for slab, parts in enumerate(groups):
            texts, found = alternatives(slab, job)
            conflicts["count"] += found["count"]
            room = _CONFLICT_SAMPLE - len(conflicts["sample"])
            conflicts["sample"] += _with_ids(table, found["sample"][:room])
            touched = job.read("touched", partitions, slab)
            for part in parts:
                yield part, self._decisions(table.read(part, ("bytes_sha", "px_sha")), touched, texts)
        context.facts["licence_conflicts"] = conflicts

    def _decisions(self, live: pa.Table, touched: pa.Table, texts: pa.Table) -> pa.Table:
        at = pc.index_in(live["row"], value_set=touched["row"].combine_chunks())
        member = touched.take(at)
        size = member["size"].fill_null(1).combine_chunks()
        junk = pc.greater(size, PLACEHOLDER_SIZE)
        dropped = pc.or_(junk, pc.fill_null(pc.not_equal(member["keeper_row"], live["row"]), False))
        by_bytes = member["same_bytes"]
        none = pa.scalar(None, pa.string())
        column = pc.if_else(junk, "exact_group_size", pc.if_else(by_bytes, "bytes_sha", "px_sha"))
        hashes = pc.if_else(by_bytes, live["bytes_sha"], live["px_sha"])
        is_duplicate = _mask(pc.and_not(dropped, junk))
        keeper = pc.if_else(pa.array(is_duplicate), member["keeper"], pa.scalar(None, pa.binary(16)))
        extra = [
            keeper,
            pc.if_else(dropped, pc.if_else(by_bytes, "bytes", "pixels"), none),
            size,
            _texts(live["row"], texts, _mask(junk)),
        ]
        fields = [c.field() for c in self.writes()]
        return decision_table(
            live["row"].to_numpy(),
            _mask(dropped),
            reason=pc.if_else(junk, str(Reason.PLACEHOLDER), str(Reason.DUPLICATE_EXACT)),
            column=column,
            value=pc.if_else(junk, size.cast(pa.string()), _hex(hashes, is_duplicate)),
            bound=pc.if_else(junk, str(PLACEHOLDER_SIZE), "equal"),
            keeper=keeper,
            extra=list(zip(fields, extra, strict=True)),
        )


def _partitions(parts: int) -> int:
    """About 512 MB of keys each, a power of two."""
    most = -(-parts * 4096 * _KEY_BYTES // _PARTITION_BYTES)
    return 1 << (most - 1).bit_length()


def _placeholder_facts(found: list[dict[str, Any]]) -> dict[str, Any]:
    groups = [group for one in found for group in one["largest"]]
    groups.sort(key=lambda group: (-group["size"], group["sample"]))
    return {
        "placeholder_groups": sum(one["count"] for one in found),
        "placeholder_suspect": groups[:MAX_REPORTED],
    }


def _with_ids(table: TableReader, conflicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name the keepers by id: a row number means nothing outside the step."""
    named = []
    for conflict in conflicts:
        live = table.read(conflict["row"] >> 24, ("id",))
        at = live["row"].index(conflict["row"]).as_py()
        named.append({"keeper": live["id"][at].as_py().hex(), "licences": conflict["licences"]})
    return named


def _texts(rows: pa.ChunkedArray, texts: pa.Table, junk: Bools) -> pa.Array:
    at = pc.index_in(rows, value_set=texts["row"].combine_chunks())
    lists = texts["texts"].take(at).combine_chunks()
    empty = pa.scalar([], pa.list_(pa.string()))
    return pc.coalesce(lists, empty)


def _hex(hashes: pa.ChunkedArray, chosen: Bools) -> pa.Array:
    values = [h.hex() if c else None for h, c in zip(hashes.to_pylist(), chosen, strict=True)]
    return pa.array(values, pa.string())


def _mask(array: Any) -> Bools:
    return np.asarray(array.to_numpy(zero_copy_only=False) if isinstance(array, pa.Array) else array, bool)


def _drain(results: Iterator[Any]) -> None:
    for _ in results:
        pass
