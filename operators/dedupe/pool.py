"""The columns of near-duplicate search on one node: written slab by slab, read in survivor order.

129 bytes a record on disk. Record numbers are places in the survivor order, so that whatever is
computed from them is independent of parts, workers and arrival, and a smaller number wins.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.operators.base import TableReader
from thresher.operators.dedupe.arrays import I64, U64, Bools, raw_bytes, words
from thresher.operators.dedupe.dct import hash_words
from thresher.operators.dedupe.order import OrderParams, priority, survivor_order
from thresher.operators.dedupe.verify import Looks

HASH_COLUMNS = ("phash", "phash256", "tiny_rgb", "ac_rms")
LOW_INFO = 2.0
"""`ac_rms` below this is flat: noise alone gives up to 0.5, photographs start near 9."""

_ROW = np.dtype(
    [
        ("row", "u8"),
        ("pri", "u8"),
        ("id", "u8", (2,)),
        ("phash", "u8"),
        ("phash256", "u8", (4,)),
        ("tiny", "u1", (48,)),
        ("size", "i4", (2,)),
        ("low_info", "?"),
    ]
)


class Pool(NamedTuple):
    """All live records; hashes of those that are hashed, in survivor order."""

    ids: U64
    """(all, 2), in the slabs' order."""
    place: I64
    """(n,): where each hashed record is in the slabs' order."""
    phash: U64
    looks: Looks


def write_slab(table: TableReader, parts: Sequence[int], params: OrderParams, path: Path) -> list[int]:
    """Write one slab's records to `path`; returns the number of live rows of each part."""
    columns = ("id", *params.order_columns(), *HASH_COLUMNS, "letterbox")
    pieces = []
    for part in parts:
        live = table.read(part, columns)
        rows = np.zeros(len(live), _ROW)
        rows["row"] = live["row"].to_numpy()
        rows["pri"] = priority(live, params)
        rows["id"] = words(live["id"])
        rows["phash"] = live["phash"].fill_null(0).to_numpy()
        rows["phash256"] = hash_words(raw_bytes(live["phash256"]))
        rows["tiny"] = raw_bytes(live["tiny_rgb"])
        rows["size"] = _inner_size(live)
        rows["low_info"] = live["ac_rms"].fill_null(0).to_numpy() < LOW_INFO
        pieces.append(rows)
    np.save(path, np.concatenate(pieces))
    return [len(rows) for rows in pieces]


def read_pool(paths: Sequence[Path]) -> Pool:
    """Read every slab, one column at a time, into survivor order."""
    hashed = np.flatnonzero(~_column(paths, "low_info"))
    ids = _column(paths, "id")
    place = hashed[survivor_order(_column(paths, "pri")[hashed], ids[hashed])]
    looks = Looks(
        _column(paths, "phash256")[place], _column(paths, "tiny")[place], _column(paths, "size")[place]
    )
    return Pool(ids, place, _column(paths, "phash")[place], looks)


def low_info(paths: Sequence[Path]) -> Bools:
    """Which records were not hashed, in the slabs' order."""
    return _column(paths, "low_info")


def slab_rows(path: Path) -> U64:
    """The `row` of each record of a slab."""
    return np.array(np.load(path, mmap_mode="r")["row"])


def _column(paths: Sequence[Path], name: str) -> NDArray[Any]:
    return np.concatenate([np.load(path, mmap_mode="r")[name] for path in paths])


def _inner_size(live: Any) -> I64:
    """Width and height without the uniform margins, in lowest terms (only the ratio matters)."""
    box = live["letterbox"].combine_chunks()
    full = np.stack([live[name].to_numpy() for name in ("width", "height")], axis=1).astype(np.int64)
    margin = np.zeros((len(live), 4), np.int64)
    has = box.is_valid().to_numpy(zero_copy_only=False)
    margin[has] = box.flatten().to_numpy().reshape(-1, 4)
    inner = np.maximum(full - margin[:, :2] - margin[:, 2:], 1)
    return inner // np.gcd(inner[:, 0], inner[:, 1])[:, None]
