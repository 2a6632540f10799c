"""What equal files say differently: their captions go to the survivor, their licences to the report."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.dedupe.arrays import slab_of
from thresher.operators.dedupe.groups import PLACEHOLDER_SIZE, Job
from thresher.operators.shuffle import write_run

MAX_TEXTS = 16
_SAMPLE = 8

_SCHEMA = pa.schema(
    [("keeper_row", pa.uint64()), ("rank", pa.int64()), ("text", pa.string()), ("licence", pa.string())]
)


def write_captions(slab: int, job: Job) -> None:
    """Send caption and licence of the slab's group members to the slab of their keeper."""
    touched = job.read("touched", job.partitions, slab)
    touched = touched.filter(pc.less_equal(touched["size"], PLACEHOLDER_SIZE)).sort_by("row")
    rows = touched["row"].to_numpy()
    pieces = [_SCHEMA.empty_table()]
    for part in job.slabs[slab]:
        low, high = np.searchsorted(rows, [part << 24, (part + 1) << 24])
        if low == high:
            continue
        members = touched.slice(low, high - low)
        live = job.table.read(part, ("text", "licence"))
        live = live.take(pc.index_in(members["row"], value_set=live["row"].combine_chunks()))
        columns = [members["keeper_row"], members["rank"], live["text"], live["licence"]]
        pieces.append(pa.table(columns, schema=_SCHEMA))
    said = pa.concat_tables(pieces)
    to = slab_of(said["keeper_row"].to_numpy(), job.slabs)
    write_run(job.run("captions", slab), said, to, len(job.slabs))


def alternatives(slab: int, job: Job) -> tuple[pa.Table, dict[str, Any]]:
    """(`row`, `texts`) of the slab's keepers whose group has two or more captions; licence conflicts.

    Texts are distinct, in survivor order (the keeper's own first), at most 16.
    """
    said = job.read("captions", len(job.slabs), slab)
    texts = said.filter(pc.greater(pc.utf8_length(said["text"]), 0))
    texts = texts.group_by(["keeper_row", "text"]).aggregate([("rank", "min")])
    texts = texts.sort_by([("keeper_row", "ascending"), ("rank_min", "ascending")])
    keeper = texts["keeper_row"].to_numpy()
    rows, start, count = np.unique(keeper, return_index=True, return_counts=True)
    place = np.arange(len(keeper)) - np.repeat(start, count)
    used = (place < MAX_TEXTS) & np.repeat(count > 1, count)
    several = count > 1
    offsets = np.concatenate(([0], np.cumsum(np.minimum(count[several], MAX_TEXTS)))).astype(np.int32)
    values = texts["text"].filter(pa.array(used)).combine_chunks()
    lists = pa.ListArray.from_arrays(pa.array(offsets), values)
    return pa.table({"row": rows[several], "texts": lists}), _licence_conflicts(said)


def _licence_conflicts(said: pa.Table) -> dict[str, Any]:
    """How many groups have differing licences, and which licences the first of them have."""
    pairs = said.select(["keeper_row", "licence"]).group_by(["keeper_row", "licence"]).aggregate([])
    counted = pairs.group_by("keeper_row").aggregate([("licence", "count"), ("licence", "list")])
    conflicts = counted.filter(pc.greater(counted["licence_count"], 1)).sort_by("keeper_row")
    sample = conflicts.slice(0, _SAMPLE).to_pylist()
    found = [{"row": s["keeper_row"], "licences": sorted(s["licence_list"])} for s in sample]
    return {"count": len(conflicts), "sample": found}
