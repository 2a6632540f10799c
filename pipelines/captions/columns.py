"""Which columns hold caption records, and a sample of the records that have one."""

from collections.abc import Callable, Iterator, Sequence
from heapq import nsmallest
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import ValidationError

from thresher.operators.captions.record import CaptionRecord
from thresher.pipelines.calibrate.records import OLD
from thresher.pipelines.plan.compile import CATALOG_COLUMNS
from thresher.pipelines.view import RunView
from thresher.schemas.decisions import ordinal
from thresher.schemas.ids import byte_rows, id_halves, keyed_hash

Has = Callable[[Sequence[NDArray[np.bool_]]], NDArray[np.bool_]]


class Row(NamedTuple):
    """One record of a sample; rows sort by rank, then id."""

    rank: int
    """A keyed hash of the id."""
    id: bytes
    ordinal: int
    values: dict[str, Any]


class Sampled(NamedTuple):
    """Some records, and how many there are to sample from."""

    rows: list[Row]
    known: int


def record_of(value: str | None) -> CaptionRecord | None:
    """The caption record of a cell; None if it holds none."""
    if value is None or not value.startswith("{"):
        return None
    try:
        return CaptionRecord.loads(value)
    except ValidationError:
        return None


def caption_columns(view: RunView, table: str) -> list[str]:
    """Names of the columns that hold caption records.

    Told by their first value, not by their writer: captions of a third-party operator count as well.
    """
    found: list[str] = []
    for name, column in view.columns(table).items():
        derived = any(name.startswith(f"{of}.") for of in found)
        plain = (
            pa.types.is_string(column.dtype) and not column.values and name not in CATALOG_COLUMNS["image"]
        )
        if plain and not derived and record_of(_first(view, table, name)) is not None:
            found.append(name)
    return found


def has_any(known: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Records with a value in one of the columns."""
    return np.asarray(np.logical_or.reduce(known))


def has_all(known: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Records with a value in each column."""
    return np.asarray(np.logical_and.reduce(known))


def sampled(
    view: RunView, table: str, columns: Sequence[str], also: Sequence[str], has: Has, most: int, seed: int = 0
) -> Sampled:
    """The `most` records of smallest rank among those that `has` a value in `columns`; with those and `also`.

    Memory grows with `most`, not with the table. Versions that are no more are left out.
    """
    known, chosen = 0, list[Row]()
    names = list(dict.fromkeys([*columns, *also]))
    for part in view.parts(table):
        ledger, values = view.ledger(table, part), view.values(table, part, names)
        here = has([pc.is_valid(values[name]).to_numpy() for name in columns])
        here &= ~pc.fill_null(pc.is_in(ledger["reason"], pa.array(OLD)), False).to_numpy()
        known += int(here.sum())
        chosen = nsmallest(most, [*chosen, *_smallest(part, ledger, values, here, most, seed)], key=_place)
    return Sampled(chosen, known)


def _place(row: Row) -> tuple[int, bytes]:
    return row.rank, row.id


def _smallest(
    part: int, ledger: pa.Table, values: pa.Table, here: NDArray[np.bool_], most: int, seed: int
) -> Iterator[Row]:
    ids = byte_rows(ledger["id"])
    rank = keyed_hash(id_halves(ids)[0], "captions", seed)
    index = np.flatnonzero(here)
    index = index[np.argsort(rank[index], kind="stable")[:most]]
    for i, held in zip(index.tolist(), values.take(pa.array(index)).to_pylist(), strict=True):
        yield Row(int(rank[i]), ids[i].tobytes(), ordinal(part, i), held)


def _first(view: RunView, table: str, name: str) -> str | None:
    """The first value of a column."""
    for part in view.parts(table):
        known = view.values(table, part, [name])[name].drop_null()
        if len(known):
            return str(known[0].as_py())
    return None
