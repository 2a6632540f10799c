"""Decisions between the stages of a select: one file for each chunk of parts, a batch for each part."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from thresher.schemas.decisions import DECISION


def write_decided(folder: Path, chunk: int, tables: Iterable[pa.Table]) -> None:
    """Write the decisions of a chunk's parts, in the order of the parts."""
    with pa.OSFile(str(folder / f"{chunk}.arrow"), "wb") as sink, pa.ipc.new_file(sink, DECISION) as writer:
        for table in tables:
            batches = table.combine_chunks().to_batches()
            writer.write_batch(batches[0] if batches else pa.RecordBatch.from_pylist([], schema=DECISION))


def read_decided(folder: Path, chunk: int) -> Iterator[pa.Table]:
    """The decisions of each part of a chunk."""
    with pa.memory_map(str(folder / f"{chunk}.arrow")) as source:
        file = pa.ipc.open_file(source)
        for i in range(file.num_record_batches):
            yield pa.Table.from_batches([file.get_batch(i)])
