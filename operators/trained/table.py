"""A run's losses as a table sorted by id: made once, part by part of the space of ids, looked up in place.

The table is a numpy file that is mapped into memory. Ids are digests, so that the records of any batch lie
all over it, and a lookup that reads whole row groups would read the table again for every batch.
"""

import fcntl
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from thresher.operators.trained.visits import (
    IMAGE,
    ROW,
    TEXT,
    Rows,
    Visits,
    batches,
    digest_of,
    from_hex,
    made,
)

COLUMNS = ("trainer.loss", "trainer.loss_drop", "trainer.image_loss", "trainer.image_loss_drop")
BESIDE = ("trainer.excess_loss", "trainer.image_excess_loss", "trainer.memorised_bits")
"""With a reference; `RUN/reference.parquet` holds them by id."""
HELD = 1 << 20
"""Rows that are in memory at once, about."""
PARTS = 1024
"""Files at most between which they wait: beyond 10^9 rows more are held."""


def digest(visits: Visits, reference: Path | None) -> str:
    """Of what the table follows from."""
    return visits.digest() + (digest_of([reference]) if reference else "")


def build(visits: Visits, reference: Path | None, file: Path, held: int = HELD) -> None:
    """Write the table to `file`, unless it is there. Raises ThresherError and OSError.

    Takes `held` rows of memory at once, and as much room beside `file` as the losses themselves.
    """
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be at it
        if not file.exists():
            with TemporaryDirectory(dir=file.parent, prefix=file.stem) as scratch:
                parts = min(PARTS, 1 + (2 * visits.count) // held)
                _spill(visits.rows(), parts, Path(scratch))
                if reference:
                    _spill(_beside(reference), parts, Path(scratch))
                whole = Path(scratch, "whole.npy")
                _write(whole, Path(scratch), (*COLUMNS, *BESIDE) if reference else COLUMNS)
                whole.replace(file)


def look_up(table: Rows, ids: Rows) -> dict[str, Rows]:
    """By column a value for each of `ids` (`S16`), float32; NaN where the run has told none."""
    low, high = np.zeros(len(ids), np.int64), np.full(len(ids), len(table))
    while (low < high).any():
        middle = (low + high) // 2
        after = (low < high) & (table["id"][np.minimum(middle, len(table) - 1)] < ids)
        low, high = np.where(after, middle + 1, low), np.where(after | (low == high), high, middle)
    found = table[np.minimum(low, len(table) - 1)] if len(table) else np.zeros(len(ids), table.dtype)
    there = (low < len(table)) & (found["id"] == ids)
    return {name: np.where(there, found[name], np.float32("nan")) for name in (table.dtype.names or ())[1:]}


def _beside(reference: Path) -> Iterator[Rows]:
    for batch in batches(reference, ["id", *BESIDE]):
        ids = from_hex(batch["id"])
        for kind, name in enumerate(BESIDE, IMAGE + 1):
            yield made(kind, ids, batch[name].to_numpy(zero_copy_only=False), 1)


def _spill(rows: Iterable[Rows], parts: int, scratch: Path) -> None:
    """Append rows to the file of their part of the space of ids."""
    for some in rows:
        first = np.ascontiguousarray(some["id"]).view(">u2")[::8].astype(np.int64)
        part = first * parts >> 16
        order = np.argsort(part, kind="stable")
        numbers, starts = np.unique(part[order], return_index=True)
        for number, piece in zip(numbers.tolist(), np.split(some[order], starts[1:]), strict=False):
            with Path(scratch, f"{number:05}.rows").open("ab") as file:
                piece.tofile(file)


def _write(whole: Path, scratch: Path, columns: tuple[str, ...]) -> None:
    """The parts, aggregated one after another."""
    kind = np.dtype([("id", "S16"), *((name, "f4") for name in columns)])
    parts, count = sorted(scratch.glob("*.rows")), 0
    for part in parts:
        done = _aggregated(np.fromfile(part, ROW), kind)
        done.tofile(part)
        count += len(done)
    if not count:
        np.save(whole, np.empty(0, kind))
        return
    table, at = np.lib.format.open_memmap(whole, "w+", kind, (count,)), 0
    for part in parts:
        done = np.fromfile(part, kind)
        table[at : at + len(done)] = done
        at += len(done)
    table.flush()


def _aggregated(rows: Rows, kind: np.dtype) -> Rows:
    """A row for each id, sorted. The loss of the last third of visits; that of the first third less that."""
    rows = rows[np.lexsort((rows["slot"], rows["step"], rows["kind"], rows["id"]))]
    new = np.ones(len(rows), bool)
    new[1:] = (rows["id"][1:] != rows["id"][:-1]) | (rows["kind"][1:] != rows["kind"][:-1])
    starts = np.flatnonzero(new)
    visits = np.diff(np.append(starts, len(rows)))
    group = np.repeat(np.arange(len(starts)), visits)
    place, third = np.arange(len(rows)) - starts[group], -(-visits // 3)

    def mean(among: Rows) -> Rows:
        weight = rows["weight"] * among
        return np.asarray(np.bincount(group, weight * rows["value"]) / np.bincount(group, weight))

    last, first = mean(place >= (visits - third)[group]), mean(place < third[group])
    drop = np.where(visits > 1, first - last, np.nan)
    ids, at = np.unique(rows["id"][starts], return_inverse=True)
    told = np.full(len(ids), np.nan, kind)
    told["id"] = ids
    values = {(TEXT, COLUMNS[0]): last, (TEXT, COLUMNS[1]): drop, (IMAGE, COLUMNS[2]): last}
    values[IMAGE, COLUMNS[3]] = drop
    values |= {(number, name): last for number, name in enumerate(BESIDE, IMAGE + 1)}
    for (number, name), value in values.items():
        if name in (kind.names or ()):
            of = rows["kind"][starts] == number
            told[name][at[of]] = value[of]
    return told
