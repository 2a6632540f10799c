"""What both arms are judged on: contents of the union of all sets that neither trains on, with equal texts.

A group (video, root picture), a cluster of near duplicates and equal bytes are never on both sides.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from thresher.operators.dedupe.graph import components
from thresher.pipelines.ablate.exports import Export
from thresher.pipelines.ablate.near import looks, near, pictures
from thresher.schemas import ThresherError
from thresher.schemas.holdout import is_held
from thresher.schemas.segments import SEGMENTS

Mask = NDArray[np.bool_]
MOST = 2_000
"""Held-out records of all sets that are evaluated, whole groups, the least hashes first."""
ROWS = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("id", pa.string()),
        pa.field("group", pa.int64()),
        pa.field("in_a", pa.bool_()),
        pa.field("in_b", pa.bool_()),
        pa.field("disputed", pa.bool_()),
    ]
)
"""One row for each held-out sample that is evaluated. `source`: whose export holds it; `in_a`, `in_b`: which
sets have this picture with this text; `disputed`: they have different texts for the same picture."""


class HoldOut(NamedTuple):
    """Which rows of each export train, and which are evaluated."""

    trained: list[Mask]
    evaluated: list[Mask]
    rows: pa.Table
    """Of `ROWS`, in the order of `evaluated`."""
    near: int
    """Held-out samples that were left out because a picture of theirs looks like one in training."""


def hold_out(exports: Sequence[Export], per_mille: int) -> HoldOut:
    """Split exports, A and B first. Raises ThresherError if nothing is held out, or nothing is left."""
    group = _components(exports)
    chosen = np.concatenate([is_held(export.rows, per_mille) for export in exports])
    held = np.isin(group, group[chosen])
    origin = np.repeat(np.arange(len(exports)), [len(e.rows) for e in exports])
    for e, export in enumerate(exports):
        if held[origin == e].all():
            raise ThresherError(
                f"{export.name}: every record is held out, or linked to one that is",
                str(export.folder),
                "Say a smaller --hold; or its groups are too large to be split",
            )
    tested, seen = np.flatnonzero(_some(exports, held, group)), np.flatnonzero(~held)
    alike = near(_looks(exports, origin, tested), _looks(exports, origin, seen))
    tested = tested[~np.isin(tested, list(alike))]
    rows, first = _rows(exports, origin, tested, group)
    if not first:
        raise ThresherError(
            f"no content is held out: {per_mille} per mille of {len(held)} samples"
            + (f", of which {len(alike)} look like one in training" if alike else ""),
            mend="Say a larger --hold, or bring more samples",
        )
    evaluated = np.isin(np.arange(len(held)), first)
    split = [origin == e for e in range(len(exports))]
    return HoldOut([~held[of] for of in split], [evaluated[of] for of in split], rows, len(alike))


def _components(exports: Sequence[Export]) -> NDArray[np.int64]:
    """A number for each row of all exports, equal where rows are linked: by group or bytes anywhere, by
    cluster of near duplicates inside one export."""
    links, starts = [], np.cumsum([0, *(len(e.rows) for e in exports)])
    names: dict[Any, int] = {}
    for e, export in enumerate(exports):
        for column in ("group_id", "bytes_sha", "dup_group"):
            for i, value in enumerate(export.rows[column].to_pylist(), int(starts[e])):
                if value is not None:
                    other = names.setdefault((value, e if column == "dup_group" else -1), i)
                    if other != i:
                        links.append((other, i))
    pairs = np.array(links, np.int64).reshape(-1, 2)
    return components(int(starts[-1]), pairs[:, 0], pairs[:, 1])


def _some(exports: Sequence[Export], held: Mask, group: NDArray[np.int64]) -> Mask:
    """Of the held rows about `MOST`, whole groups, in an order that follows from their contents."""
    ids = [value for export in exports for value in export.rows["id"].to_pylist()]
    least: dict[int, bytes] = {}
    for i in np.flatnonzero(held).tolist():
        hashed = blake2b(ids[i], digest_size=8).digest()
        least[group[i]] = min(least.get(group[i], hashed), hashed)
    sizes = np.bincount(group[held], minlength=len(group))
    taken: list[int] = []
    count = 0
    for g in sorted(least, key=lambda g: least[g]):
        if count >= MOST:
            break
        taken.append(g)
        count += int(sizes[g])
    return held & np.isin(group, taken)


def _looks(exports: Sequence[Export], origin: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[Any]:
    found, start = [], 0
    for e, export in enumerate(exports):
        mine = rows[origin[rows] == e]
        media = pictures(export.read(mine - start))
        found.append(looks(zip(mine.tolist(), media, strict=True)))
        start += len(export.rows)
    return np.concatenate(found)


def _rows(
    exports: Sequence[Export], origin: NDArray[np.int64], tested: NDArray[np.int64], group: NDArray[np.int64]
) -> tuple[pa.Table, list[int]]:
    """`ROWS` of every distinct sample, and the row among all exports that each stands in first."""
    numbers: dict[bytes, int] = {}
    owners: dict[bytes, set[int]] = {}
    texts: dict[bytes, set[bytes]] = {}
    of: list[tuple[bytes, bytes]] = []
    start = 0
    for e, export in enumerate(exports):
        mine = tested[origin[tested] == e]
        for i, members in zip(mine.tolist(), export.read(mine - start), strict=True):
            hashed = [blake2b(medium).digest() for medium in next(pictures([members]))]
            media = blake2b(b"".join(hashed) or members[SEGMENTS])
            words = members[SEGMENTS]
            sample = blake2b(media.digest() + words).digest()
            if sample not in numbers:
                numbers[sample] = i
                of.append((media.digest(), sample))
            owners.setdefault(sample, set()).add(e)
            if e < 2:
                texts.setdefault(media.digest(), set()).add(words)
        start += len(export.rows)
    firsts = list(numbers.values())
    ids = [value.hex() for export in exports for value in export.rows["id"].to_pylist()]
    table = {
        "source": [exports[origin[i]].name for i in firsts],
        "id": [ids[i] for i in firsts],
        "group": group[firsts],
        "in_a": [0 in owners[sample] for _, sample in of],
        "in_b": [1 in owners[sample] for _, sample in of],
        "disputed": [len(texts.get(media, ())) > 1 for media, _ in of],
    }
    return pa.table(table, schema=ROWS), firsts
