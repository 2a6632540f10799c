"""The records of a run that a bound or a head is made from: their values, and what they are near to."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.pipelines.calibrate.statistics import Floats, Groups
from thresher.pipelines.view import RunView
from thresher.schemas import Column, Media, Reason, UsageError
from thresher.schemas.decisions import ID
from thresher.schemas.errors import nearest
from thresher.schemas.ids import byte_rows, id_halves, keyed_hash

OLD = (str(Reason.SUPERSEDED), str(Reason.MISSING_SOURCE))
FEW = 5
"""Sources or folders serve as groups if there are at least so many."""


@dataclass(frozen=True)
class Records:
    """Some records that have a value in every column asked for, in the order of their ids."""

    table: str
    rows: list[dict[str, Any]]
    """`id`, `source`, `key`, `media` of each."""
    features: Floats
    """(n, d): the columns asked for beside each other."""
    groups: Groups
    grouping: str
    """What the groups are, in words."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[bytes]:
        """Ids, ascending."""
        return [row["id"] for row in self.rows]

    def medium(self, place: int) -> Media:
        """The picture of a record."""
        return Media(**self.rows[place]["media"][0])


def table_of(view: RunView, columns: Sequence[str], table: str | None = None, known_are: str = "") -> str:
    """The table that has all `columns`. Raises UsageError with the nearest name, else with `known_are`."""
    if table is not None and table not in view.tables():
        raise UsageError(f"there is no table {table!r}", "--table", nearest(table, view.tables()))
    tables = [table] if table else view.tables()
    having = [t for t in tables if all(c in view.columns(t) for c in columns)]
    if len(having) == 1:
        return having[0]
    if having:
        raise UsageError(f"the tables {', '.join(having)} have that column", mend="Say which: --table NAME")
    known = sorted({c for t in tables for c in view.columns(t)})
    absent = next((c for c in columns if c not in known), columns[0])
    mend = (
        nearest(absent, known) or known_are or "`thresher explain ID --run RUN` shows the columns of a record"
    )
    raise UsageError(f"the run has no column {absent!r}", str(view.folder), mend)


def described(view: RunView, table: str, name: str, vector: bool = True) -> Column:
    """A column of numbers, or a vector. Raises UsageError if it is neither."""
    column = view.columns(table)[name]
    if column.vector and not vector:
        mend = f"Fit a head on it: --head NAME --on {name} --labels FILE"
        raise UsageError(f"the column {name!r} holds vectors, which have no bound", str(view.folder), mend)
    if not column.numeric and not column.vector:
        raise UsageError(f"the column {name!r} holds no numbers, but {column.dtype}", str(view.folder))
    return column


def sampled(view: RunView, table: str, column: str, size: int, before: Collection[str], seed: int) -> Records:
    """At most `size` records with a value, by keyed hash; not those that the steps in `before` ended."""
    chosen: list[tuple[int, bytes]] = []
    for part, ledger in _ledgers(view, table):
        values = view.values(table, part, [column])[column]
        ended = pc.and_kleene(
            pc.not_equal(ledger["status"], "kept"),
            pc.is_in(ledger["step"], pa.array([*before, ""], pa.string())),
        )
        mask = pc.and_(pc.is_valid(values), pc.invert(pc.or_(pc.fill_null(ended, False), _old(ledger))))
        ids = ledger["id"].filter(mask)
        ranks = keyed_hash(id_halves(byte_rows(ids))[0], "calibrate sample", seed)
        chosen += zip(ranks.tolist(), ids.to_pylist(), strict=True)
        chosen = sorted(chosen)[:size]
    return gathered(view, table, [column], {record for _, record in chosen})


def gathered(view: RunView, table: str, columns: Sequence[str], ids: Collection[bytes]) -> Records:
    """Those of the records `ids` that have a value in every column."""
    rows = [row for row in _rows(view, table, columns, ids) if all(row[c] is not None for c in columns)]
    rows.sort(key=lambda row: row["id"])
    blocks = [np.array([np.atleast_1d(row[c]) for row in rows], np.float64) for c in columns]
    features = np.hstack(blocks) if rows else np.zeros((0, 0))
    groups, grouping = _groups(view, table, rows)
    return Records(table, rows, features, groups, grouping)


def _ledgers(view: RunView, table: str) -> Iterator[tuple[int, pa.Table]]:
    for part in view.parts(table):
        yield part, view.ledger(table, part)


def _old(ledger: pa.Table) -> pa.ChunkedArray:
    """Rows of versions that are no more."""
    return pc.fill_null(pc.is_in(ledger["reason"], pa.array(OLD)), False)


def _rows(
    view: RunView, table: str, columns: Sequence[str], ids: Collection[bytes]
) -> Iterator[dict[str, Any]]:
    """The rows of some records: head, keeper, `dup_group` where there is one, and `columns`."""
    wanted = pa.array(sorted(ids), ID)
    group = [c for c in ("dup_group",) if c in view.columns(table)]
    names = list(dict.fromkeys(["source", "key", "media", *group, *columns]))
    for part, ledger in _ledgers(view, table):
        mask = pc.and_(pc.is_in(ledger["id"], wanted), pc.invert(_old(ledger)))
        if not pc.any(mask).as_py():
            continue
        head = ledger.select(["id", "keeper"]).filter(mask).to_pylist()
        values = view.values(table, part, names).filter(mask).to_pylist()
        yield from (a | b for a, b in zip(head, values, strict=True))


def _groups(view: RunView, table: str, rows: list[dict[str, Any]]) -> tuple[Groups, str]:
    """One number for each row, equal for those that must not be parted."""
    known = {row["id"]: row for row in rows}
    while missing := {r["keeper"] for r in known.values() if r["keeper"]} - set(known):
        found = {row["id"]: row for row in _rows(view, table, [], missing)}
        known |= {record: found.get(record, {"keeper": None}) for record in missing}
    alone = np.array([_hash(_last(row["id"], known)) for row in rows], np.uint64)
    if "dup_group" in view.columns(table):
        last = [known[_last(row["id"], known)].get("dup_group") for row in rows]
        groups = [own if group is None else group for own, group in zip(alone.tolist(), last, strict=True)]
        return np.array(groups, np.uint64), "near-duplicates (dup_group)"
    for what, words in (("source", _words(rows, "source")), ("folder", _words(rows, "folder"))):
        names, place = np.unique(np.array(words, str), return_inverse=True)
        if len(names) >= FEW:
            return np.arange(len(names), dtype=np.uint64)[place], f"{what}s"
    return alone, "single records: the run has no dup_group, so that near-duplicates may be on both sides"


def _words(rows: list[dict[str, Any]], what: str) -> list[str]:
    if what == "source":
        return [row["source"] for row in rows]
    return [f"{row['source']}/{row['key'].rpartition('/')[0]}" for row in rows]


def _last(record: bytes, known: dict[bytes, dict[str, Any]]) -> bytes:
    """The keeper of the keeper, and so on."""
    seen = {record}
    while (keeper := known[record]["keeper"]) and keeper not in seen:
        seen.add(keeper)
        record = keeper
    return record


def _hash(record: bytes) -> int:
    return int.from_bytes(record[:8], "big")


def positions(records: Records, ids: Sequence[bytes]) -> NDArray[np.int64]:
    """Where each of `ids` stands among the records."""
    place = {record: i for i, record in enumerate(records.ids)}
    return np.array([place[record] for record in ids], np.int64)
