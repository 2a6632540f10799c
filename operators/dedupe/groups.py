"""Groups of equal files by two shuffles. Tasks communicate through run files; the driver sees counts.

`keys` (by bytes) -> `heads` (by pixels) -> `touched` (by slab of the row): the members of groups of
two or more, each with its keeper.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.base import TableReader
from thresher.operators.dedupe.arrays import I64, U64, equal_rows, partition_of, shared, slab_of, words
from thresher.operators.dedupe.order import OrderParams, priority, survivor_order
from thresher.operators.shuffle import read_partition, write_run

PLACEHOLDER_SIZE = 10_000
"""Larger groups are error pages, empty pictures, "image removed" notices: not even one survives."""
MAX_REPORTED = 100
_SAMPLE = 8


@dataclass(frozen=True)
class Job:
    """What every task needs; picklable."""

    table: TableReader
    params: OrderParams
    scratch: Path
    slabs: Sequence[Sequence[int]]
    partitions: int

    def run(self, stage: str, number: int) -> Path:
        """The run file that one task of a stage writes."""
        return self.scratch / f"{stage}-{number:06d}.arrow"

    def read(self, stage: str, writers: int, partition: int) -> pa.Table:
        """One partition of what `writers` tasks of a stage have written."""
        return read_partition([self.run(stage, i) for i in range(writers)], partition)


def write_keys(slab: int, job: Job) -> None:
    """Shuffle a slab's hashes by those of the bytes. A record without pixels stands for itself."""
    columns = ("id", "bytes_sha", "px_sha", "px_ver", *job.params.order_columns())
    pieces = []
    for part in job.slabs[slab]:
        live = job.table.read(part, columns)
        version = pc.if_else(live["px_sha"].is_valid(), live["px_ver"], pa.scalar(None, pa.string()))
        piece = {
            "row": live["row"],
            "id": live["id"],
            "pri": pa.array(priority(live, job.params)),
            "bytes": live["bytes_sha"],
            "pixels": pc.coalesce(live["px_sha"], live["bytes_sha"]),
            "version": pa.array(_version_numbers(version)),
        }
        pieces.append(pa.table(piece))
    keys = pa.concat_tables(pieces)
    write_run(
        job.run("keys", slab), keys, partition_of(words(keys["bytes"])[:, 0], job.partitions), job.partitions
    )


def group_bytes(partition: int, job: Job) -> None:
    """Find the best file of each group of equal bytes; shuffle all by the pixels of that file."""
    keys = job.read("keys", len(job.slabs), partition)
    best = pa.array(_best(words(keys["bytes"]), keys))
    heads = keys.select(["row", "id", "pri"])
    heads = heads.append_column("head", keys["row"].take(best))
    heads = heads.append_column("pixels", keys["pixels"].take(best))
    heads = heads.append_column("version", keys["version"].take(best))
    pixels = words(heads["pixels"])[:, 0]
    write_run(job.run("heads", partition), heads, partition_of(pixels, job.partitions), job.partitions)


def group_pixels(partition: int, job: Job) -> dict[str, Any]:
    """Find the keeper of each group; send the members of groups of two or more to their slabs.

    Returns the number of placeholder groups and the largest of them.
    """
    heads = job.read("heads", job.partitions, partition)
    best = _best(np.column_stack([words(heads["pixels"]), heads["version"].to_numpy()]), heads)
    size = np.bincount(best, minlength=1)[best]
    member = np.flatnonzero(size > 1)
    member = member[_order(heads, member)]
    member = member[np.argsort(best[member], kind="stable")]
    keeper, size = best[member], size[member]
    row, head = heads["row"].to_numpy(), heads["head"].to_numpy()
    first = np.flatnonzero(np.concatenate(([True], keeper[1:] != keeper[:-1]))) if len(keeper) else keeper
    touched = pa.table(
        {
            "row": row[member],
            "keeper_row": row[keeper],
            "keeper": heads["id"].take(pa.array(keeper)),
            "same_bytes": head[member] == head[keeper],
            "size": size,
            "rank": np.arange(len(member)) - np.repeat(first, size[first]),
        }
    )
    write_run(job.run("touched", partition), touched, slab_of(row[member], job.slabs), len(job.slabs))
    return _placeholders(heads["id"], member, first[size[first] > PLACEHOLDER_SIZE], size)


def _best(key: U64, rows: pa.Table) -> I64:
    """For each row, the best row whose key is equal in all words."""
    best = np.arange(len(rows))
    some = np.flatnonzero(shared(key[:, 0]))
    some = some[_order(rows, some)]
    best[some] = some[equal_rows(key[some])]
    return best


def _order(rows: pa.Table, some: I64) -> I64:
    chosen = rows.select(["pri", "id"]).take(pa.array(some))
    return survivor_order(chosen["pri"].to_numpy(), words(chosen["id"]))


def _placeholders(ids: pa.ChunkedArray, member: I64, starts: I64, size: I64) -> dict[str, Any]:
    largest = starts[np.argsort(-size[starts], kind="stable")][:MAX_REPORTED]
    found = []
    for start in largest.tolist():
        sample = ids.take(pa.array(member[start : start + _SAMPLE])).to_pylist()
        found.append({"size": int(size[start]), "sample": [i.hex() for i in sample]})
    return {"count": len(starts), "largest": found}


def _version_numbers(version: pa.ChunkedArray) -> U64:
    """A number for each decoder version: the first 8 bytes of its BLAKE2b, 0 for none."""
    coded = version.combine_chunks().dictionary_encode()
    numbers = [
        int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        for text in coded.dictionary.to_pylist()
    ]
    return np.array([*numbers, 0], np.uint64)[coded.indices.fill_null(len(numbers)).to_numpy()]
