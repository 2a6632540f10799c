"""Exports as an ablation reads them, and as it hands them on: the same tars under an index of fewer rows."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from thresher.operators.export.energon import META
from thresher.operators.export.manifest import MANIFEST, WIDS, digest, read_finished
from thresher.pipelines.store.files import write_bytes
from thresher.schemas import ThresherError, UsageError

INDEX = "index.parquet"
_OWN = (MANIFEST, WIDS, INDEX, META, "tokens")
"""What tells of all rows, or what readers make for a view of its own."""


class Export(NamedTuple):
    """An export and its index, in tar order."""

    name: str
    """Of the source that it fills: `a`, `b` or a source of the config."""
    folder: Path
    dataset: dict[str, Any]
    rows: pa.Table

    def read(self, numbers: NDArray[np.int64]) -> Iterator[dict[str, bytes]]:
        """Every member of the records in those rows, by its name without the key."""
        columns = ["shard", "members", "member_offsets", "member_sizes"]
        places = self.rows.select(columns).take(pa.array(numbers))
        for batch in places.to_batches(max_chunksize=1024):
            for shard, names, offsets, sizes in zip(*(c.to_pylist() for c in batch.columns), strict=True):
                with open(self.folder / shard, "rb") as tar:
                    spans = zip(names, offsets, sizes, strict=True)
                    yield {name: os.pread(tar.fileno(), size, offset) for name, offset, size in spans}


def open_export(name: str, folder: str | Path) -> Export:
    """Read the index of a finished export. Raises UsageError for a URL, ThresherError for no export."""
    if "://" in str(folder):
        raise UsageError("sets to compare must lie on a disk here", str(folder), "Copy the export first")
    path = Path(folder)
    dataset = read_finished(path)
    if dataset is None:
        mend = "Name the folder of a finished export, e.g. run/export/images/latest"
        raise ThresherError(f"there is no {MANIFEST}, so no finished export", str(path), mend)
    files = sorted(name for name in dataset["files"] if name.startswith(f"{INDEX}/"))
    tables = [pq.ParquetFile(path / file).read() for file in files]
    rows = pa.concat_tables([t.replace_schema_metadata(None) for t in tables]) if tables else None
    if not rows:
        raise ThresherError("this export holds no record", str(path), "Name one that holds some")
    return Export(name, path.resolve(), dataset, rows)


def write_view(export: Export, kept: NDArray[np.bool_], to: Path, every_once: bool = False) -> None:
    """Make `to` an export of the `kept` rows, (n,), whose tars are links to those of `export`.

    `every_once`: split and sampling weight are set so that a reader takes each row once.
    """
    (to / INDEX).mkdir(parents=True, exist_ok=True)
    for entry in export.folder.iterdir():
        if entry.name not in _OWN and not entry.name.endswith(".idx") and not (to / entry.name).exists():
            (to / entry.name).symlink_to(entry.resolve())
    rows = export.rows.filter(pa.array(kept))
    if every_once:
        rows = _every_once(rows)
    shards = np.array(rows["shard"].to_pylist(), object)
    files = {n: about for n, about in export.dataset["files"].items() if not _of_rows(n)}
    for shard in dict.fromkeys(shards):
        held, sink = rows.filter(pa.array(shards == shard)), io.BytesIO()
        index = f"{INDEX}/{shard.removesuffix('.tar')}.parquet"
        facts = pq.read_schema(export.folder / index).metadata
        pq.write_table(held.replace_schema_metadata(facts), sink, compression="zstd")
        data = sink.getvalue()
        write_bytes(to / index, data)
        files[shard] = export.dataset["files"][shard] | {"records": len(held)}
        files[index] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "records": len(held)}
    counts = {"records": len(rows), "shards": len(set(shards))}
    dataset = export.dataset | {"files": files, "counts": export.dataset["counts"] | counts}
    write_bytes(to / MANIFEST, (json.dumps(dataset | {"digest": digest(dataset)}, indent=1) + "\n").encode())


def _every_once(rows: pa.Table) -> pa.Table:
    ones = pa.array(np.ones(len(rows), np.float32))
    weight = rows.schema.get_field_index("sampling_weight")
    rows = rows.set_column(weight, rows.schema.field(weight), ones)
    if "split" not in rows.column_names:
        return rows
    split = rows.schema.get_field_index("split")
    return rows.set_column(split, rows.schema.field(split), pa.nulls(len(rows), pa.string()))


def _of_rows(name: str) -> bool:
    return name.endswith((".tar", ".idx")) or name.partition("/")[0] in _OWN
