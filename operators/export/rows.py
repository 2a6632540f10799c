"""The first pass: everything that a shard needs of its records, scattered from parts to shards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from thresher.operators.base import TableReader
from thresher.operators.export import segments
from thresher.operators.export.files import explain_full_disk
from thresher.operators.export.images import Target, target
from thresher.operators.export.params import ExportParams
from thresher.operators.export.pictures import PICTURE, document_pictures, image_pictures
from thresher.operators.export.placement import (
    NARROW,
    UNBUCKETED,
    Shard,
    bucket_names,
    bucket_sizes,
    buckets_of,
    bytes_by_bucket,
    places,
    source_bytes,
)
from thresher.operators.export.previous import known_in
from thresher.operators.export.records import kind_of, measured_columns, record_schema, records_json
from thresher.operators.shuffle import top_bits, write_run
from thresher.schemas import Column
from thresher.schemas.decisions import ID
from thresher.schemas.ids import byte_rows
from thresher.schemas.index import INDEX
from thresher.schemas.records import KINDS, MEDIA

INDEXED = (
    "scores",
    "bucket",
    "text_chars",
    "kinds",
    "source",
    "task",
    "synthetic",
    "sampling_weight",
    "dup_group",
    "split",
    "licence",
    "bytes_sha",
)

ROW = pa.schema(
    [
        pa.field("shard", pa.int32(), metadata={"meaning": "place in the list of shards"}),
        pa.field("order", pa.uint64(), metadata={"meaning": "keyed hash that orders a shard"}),
        pa.field("read", pa.int64(), metadata={"meaning": "bytes of all media together"}),
        pa.field("id", ID),
        pa.field("media", pa.list_(MEDIA)),
        pa.field("text", pa.string()),
        pa.field("content", pa.binary(16), metadata={"meaning": "what the record is made of, as a digest"}),
        pa.field("record", pa.string(), metadata={"meaning": "the JSON member; null: the record is copied"}),
        pa.field("segments", pa.string(), metadata={"meaning": "the member `KEY.segments.json`"}),
        pa.field("pictures", pa.list_(PICTURE), metadata={"meaning": "what becomes of each image"}),
        *(INDEX.field(name).with_nullable(True) for name in INDEXED),
    ]
)
"""A record on its way from its part to its shard."""

_PLACED = ("shard", "order", "read", "id", "content")
"""All that is known of a record that is copied from the previous export."""


@dataclass(frozen=True)
class Scatter:
    """How the records of a table go to shards. Picklable: tasks run its methods on their own parts."""

    table: TableReader
    params: ExportParams
    seed: int
    known: Path | None
    """What the export before this one holds: ids to leave out (`append`), or contents to copy (`hash`)."""

    @property
    def _narrow(self) -> list[str]:
        """The columns that placement reads, of those there are."""
        return [name for name in NARROW if name in self.table.columns]

    def totals(self, part: int) -> tuple[int, dict[str, int]]:
        """The number of records of one part, and their planned bytes in each bucket."""
        table = self.table.read(part, self._narrow)
        table = table.filter(pa.array(self._new(table)))
        return len(table), bytes_by_bucket(table, self.params)

    def _new(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which records this export writes: all of them, unless it appends to another."""
        return ~known_in(self.known if self.params.placement == "append" else None, table["id"])

    def _same(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which records the previous export holds as they are."""
        return known_in(self.known if self.params.placement == "hash" else None, table["content"])

    def write(self, parts: Sequence[int], shards: Sequence[Shard], partitions: int, folder: Path) -> str:
        """Write the records of `parts` as one run with `partitions` groups of shards; returns its file."""
        path = folder / f"part-{parts[0]:06d}.arrow"
        rows = pa.concat_tables(self.rows(part, shards) for part in parts)
        groups = np.array([partition_of(s, len(shards), partitions) for s in range(len(shards))])
        with explain_full_disk(path, rows.nbytes):
            write_run(path, rows, groups[rows["shard"].to_numpy()], partitions)
        return str(path)

    def rows(self, part: int, shards: Sequence[Shard]) -> pa.Table:
        """The part's records as `ROW`s."""
        table = self.table.read(part, [*self._narrow, "content"])
        mine, same = self._new(table), self._same(table)
        fresh = self._fresh(part, mine & ~same)
        table, same = table.filter(pa.array(mine)), same[mine]
        shuffle, order = places(byte_rows(table["id"]), self.seed)
        place = self._shard_of(table, shuffle, shards)
        known = {
            "shard": place,
            "order": order,
            "read": source_bytes(table),
            "id": table["id"],
            "content": table["content"],
        }
        wide = fresh.take(pa.array(np.cumsum(~same) - 1, mask=same))
        return pa.table(known | dict(zip(wide.column_names, wide.columns, strict=True))).select(ROW.names)

    def _goals(self, table: pa.Table, buckets: Sequence[tuple[int, int] | None]) -> list[Target]:
        """What becomes of each image; `buckets`: the (height, width) of its bucket, if any."""
        shapes = (table[name].to_pylist() for name in ("width", "height", "format"))
        rows = zip(*shapes, buckets, strict=True)
        return [target(self.params, width, height, form, bucket) for width, height, form, bucket in rows]

    def _shard_of(
        self, table: pa.Table, shuffle: NDArray[np.uint64], shards: Sequence[Shard]
    ) -> NDArray[np.int32]:
        """Place in `shards` of each row."""
        buckets, every = buckets_of(table, self.params), bucket_names(self.params)
        base = {(s.bucket, s.of): i - s.number for i, s in enumerate(shards)}
        count = {s.bucket: s.of for s in shards}
        place = np.zeros(len(table), np.int32)
        for b in np.unique(buckets):
            mine, of = buckets == b, count[every[b]]
            place[mine] = base[every[b], of] + top_bits(shuffle[mine], of)
        return place

    def _fresh(self, part: int, chosen: NDArray[np.bool_]) -> pa.Table:
        """The rest of a `ROW` for the chosen records of a part: everything that their values are read for."""
        measured = measured_columns(self.table.columns)
        rest = pa.schema([field for field in ROW if field.name not in _PLACED])
        if not chosen.any():
            return rest.empty_table()
        kind = kind_of(self.table.columns)
        own = KINDS[kind].names
        table = self.table.read(part, list(dict.fromkeys([*own, *self._narrow, *measured])))
        table = table.filter(pa.array(chosen))
        names, sizes = bucket_names(self.params), bucket_sizes(self.params)
        buckets = buckets_of(table, self.params)
        for name, default in (("sampling_weight", 1.0), ("dup_group", None), ("split", None)):
            if name not in measured:
                table = table.append_column(name, pa.repeat(pa.scalar(default), len(table)))
        if kind == "interleaved":
            pictures = document_pictures(table)
            told = segments.of_documents(table, pictures) | {"text": [None] * len(table)}
        else:
            goals = self._goals(table, [sizes[b] for b in buckets])
            pictures = [[picture] for picture in image_pictures(table, goals)]
            text = self.params.text_column(measured)
            told = segments.described(table, text, measured, goals) | {"text": table[text]}
        made = {
            **told,
            "record": records_json(table, record_schema(measured, kind)),
            "pictures": pictures,
            "bucket": [None if names[b] == UNBUCKETED else names[b] for b in buckets],
            "sampling_weight": table["sampling_weight"].fill_null(1),
            "scores": _scores(table, measured),
        }
        return pa.table(
            {name: made[name] if name in made else table[name] for name in rest.names}, schema=rest
        )


def partition_of(shard: int, shards: int, partitions: int) -> int:
    """The slice of a run that holds a shard's rows; adjacent shards share one."""
    return shard * partitions // shards


def _scores(table: pa.Table, measured: Mapping[str, Column]) -> pa.MapArray:
    """Every numeric column that a record has a value in, as float32."""
    names = [name for name, column in measured.items() if column.numeric]
    values = np.zeros((len(table), len(names)), np.float32)
    there = np.zeros(values.shape, bool)
    for i, name in enumerate(names):
        column = table[name].combine_chunks().cast(pa.float32(), safe=False)
        there[:, i] = column.is_valid().to_numpy(zero_copy_only=False)
        values[:, i] = column.fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], there.sum(axis=1).cumsum()]).astype(np.int32)
    keys = np.broadcast_to(np.array(names, object), values.shape)[there]
    return pa.MapArray.from_arrays(ends, pa.array(keys, pa.string()), pa.array(values[there]))
