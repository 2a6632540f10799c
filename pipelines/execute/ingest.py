"""Ingest: list the sources, enter what is new as new parts, and say which catalog rows are live.

A row is live if it is the newest version of its id and the listing still shows the file that
holds it, unchanged. So nothing about presence needs to be stored.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher import __version__
from thresher.operators.base import Failure
from thresher.operators.ingest import Listing, Problems, Source, describe, fail, list_source, scan
from thresher.pipelines.execute.batches import set_timers
from thresher.pipelines.execute.child import pack, unpack
from thresher.pipelines.execute.guarded import one_by_one
from thresher.pipelines.store.catalog import Catalog
from thresher.pipelines.store.files import write_bytes
from thresher.schemas.errors import ThresherError
from thresher.schemas.ids import words_of
from thresher.schemas.records import validate
from thresher.schemas.sidecar import dumps
from thresher.schemas.uris import split_fragment

FOLDER_SLICE = 4096
"""Folder files that one scanning task enters."""


Listed = tuple[Source, Listing]
"""A source and what it holds now."""


@dataclass(frozen=True)
class Presence:
    """State of every catalog row, in catalog order."""

    newest: np.ndarray
    """bool: of all versions of this id, the one that counts."""
    present: np.ndarray
    """bool: the listing still shows the file, unchanged."""


@dataclass(frozen=True)
class Scan:
    """How the units of one source are scanned; goes to the workers."""

    source: Source
    spool: str
    scratch: str
    cpu_s: float
    wall_s: float
    """Time that may pass without a record entered."""


def list_sources(sources: Sequence[Source]) -> list[Listed]:
    """List every source of a table.

    A column mapping counts as part of a file's state: another one gives other records.
    """
    listed = []
    for source in sources:
        listing = list_source(source)
        if mapping := source.params.mapping:
            units = listing.units
            etag = pc.binary_join_element_wise(units["etag"], dumps(mapping), "|")
            place = units.schema.get_field_index("etag")
            units = units.set_column(place, units.schema.field("etag"), etag)
            listing = Listing(units, listing.problems)
        listed.append((source, listing))
    return listed


def known_units(catalog: Catalog) -> pa.Table:
    """(id, version, file) of every catalog row, in catalog order. `file` names the file that holds the
    row and its state; a dictionary for each part, so that rows of a container take four bytes each."""
    parts = [_known(catalog, part) for part in range(len(catalog.rows))]
    return pa.concat_tables([KNOWN.empty_table(), *parts])


KNOWN = pa.schema(
    [("id", pa.binary(16)), ("version", pa.int32()), ("file", pa.dictionary(pa.int32(), pa.string()))]
)


def _known(catalog: Catalog, part: int) -> pa.Table:
    rows = catalog.read(part, ["id", "version", "source", "unit", "mtime_ns", "etag"])
    file = _state(rows["source"], rows["unit"], rows).dictionary_encode()
    return pa.table([rows["id"], rows["version"], file], schema=KNOWN)


def _state(source: Any, uri: pa.ChunkedArray, rows: pa.Table) -> pa.ChunkedArray:
    """One text for a file in one state."""
    time, etag = (pc.fill_null(rows[name].cast(pa.string()), "") for name in ("mtime_ns", "etag"))
    return pc.binary_join_element_wise(source, uri, time, etag, "\x00")


def new_units(source: Source, listing: Listing, known: pa.Table) -> pa.Table:
    """The units of a listing that the catalog does not hold in this state."""
    return listing.units.filter(pc.invert(pc.is_in(_shown(source, listing), _files(known))))


def presence(listed: Sequence[Listed], known: pa.Table) -> Presence:
    """Which catalog rows are the newest of their id, and which still stand in the listing."""
    files = _files(known)
    shown = [pc.is_in(files, _shown(*one)).to_numpy() for one in listed]
    shown_in_part = np.split(np.logical_or.reduce(shown), np.cumsum([len(c) for c in files.chunks])[:-1])
    rows = [part[c.indices] for part, c in zip(shown_in_part, known["file"].chunks, strict=True)]
    present = np.concatenate(rows)
    return Presence(_newest(known, present), present)


def _shown(source: Source, listing: Listing) -> pa.ChunkedArray:
    return _state(source.name, listing.units["uri"], listing.units)


def _files(known: pa.Table) -> pa.ChunkedArray:
    """Each file in each state that the catalog knows, once for each part."""
    return pa.chunked_array([chunk.dictionary for chunk in known["file"].chunks], pa.string())


def empty_sources(listed: Sequence[Listed], known: pa.Table) -> list[dict[str, Any]]:
    """A problem for each source that holds nothing to enter.

    Raises ThresherError if no source does, and no record ever was: that is a slip in the recipe.
    """
    problems = Problems()
    for source, listing in listed:
        if not listing.units.num_rows:
            problems.add("empty_source", source.name, describe(source, listing))
    if listed and not known.num_rows:
        found = " ".join(describe(source, listing) for source, listing in listed)
        raise ThresherError(
            f"no media found, nothing is exported. {found}", mend="Look at the table's `ingest`"
        )
    return problems.rows()


def noted(catalog: Catalog, at: Presence) -> list[dict[str, Any]]:
    """A problem for each live record that was entered with something left aside, such as a faulty sidecar."""
    problems = Problems()
    starts = catalog.starts
    live = at.newest & at.present
    for part, rows in enumerate(catalog.rows):
        table = catalog.read(part, ["reason", "message"])
        mask = pc.and_(table["message"].is_valid(), table["reason"].is_null())
        mask = pc.and_(mask, pa.array(live[starts[part] : starts[part] + rows]))
        if pc.any(mask).as_py():
            keys = catalog.read(part, ["key"])["key"].filter(mask).to_pylist()
            for key, message in zip(keys, table["message"].filter(mask).to_pylist(), strict=True):
                problems.add("noted", key, message)
    return problems.rows()


def enter(
    catalog: Catalog,
    listed: Sequence[Listed],
    known: pa.Table,
    part_size: int | None,
    runner: Any,
    spool: Path,
    limits: tuple[float, float],
    done: Callable[[int], None],
) -> int:
    """Scan new units and append their records as new parts; returns how many records entered.

    `limits`: processor and wall seconds that a unit may take for one record. `done` is told how many
    units were scanned. What was scanned before a kill is not scanned again.
    """
    scratch = catalog.folder / "scan"
    tables: list[pa.Table] = []
    for source, listing in listed:
        units = new_units(source, listing, known)
        if not units.num_rows:
            continue
        work = Scan(source, str(spool), str(scratch), *limits)
        units = units.sort_by("uri")
        size = FOLDER_SLICE if source.kind == "folder" else 1
        slices = [units.slice(start, size) for start in range(0, units.num_rows, size)]
        scanned = runner.map(partial(scan_to_file, work), map(pack, slices), partial(scan_guarded, work))
        found = []
        for units, file in zip(slices, scanned, strict=True):
            found.append(pa.ipc.open_file(pa.memory_map(file)).read_all())
            done(units.num_rows)
        rows = pa.concat_tables(found)
        if source.kind == "folder":  # rows of containers stay as their files hold them
            first, second = words_of(rows["id"]).T
            rows = rows.take(pa.array(np.lexsort((second, first))))
        tables.append(_versioned(rows, known))
    catalog.append(tables, part_size, listed[0][0].params.record)
    for file in scratch.glob("*"):
        file.unlink()
    return sum(t.num_rows for t in tables)


def scan_to_file(work: Scan, units: str) -> str:
    """Scan some units and write their rows to a file that their state names; returns its path."""
    path = _scanned(work, units)
    if not path.exists():
        _write(path, _scan(work, unpack(units)))
    return str(path)


def scan_guarded(work: Scan, units: str) -> str:
    """As `scan_to_file`, whose process died: unit by unit in a child. A unit that kills the child twice,
    or runs out of time, is a failed row."""
    whole, tables = unpack(units), []
    singles = [pack(whole.slice(place, 1)) for place in range(whole.num_rows)]
    for single, answer in one_by_one(partial(scan_packed, work), singles, work.cpu_s, work.wall_s):
        if isinstance(answer, Failure):
            unit, message = unpack(single), f"{answer.message}; it is tried again when the file changes"
            tables.append(_stored(work.source, unit, fail(work.source, unit, answer.reason, message)))
        else:
            tables.append(unpack(answer))
    path = _scanned(work, units)
    _write(path, pa.concat_tables(tables))
    return str(path)


def _scanned(work: Scan, units: str) -> Path:
    """Named by all that the rows follow from, so that a file of another run's worker is never mistaken."""
    state = repr([__version__, work.source, unpack(units).to_pylist()])
    return Path(work.scratch) / f"{hashlib.blake2b(state.encode(), digest_size=16).hexdigest()}.arrow"


def scan_packed(work: Scan, unit: str) -> str:
    """The rows of a unit, as an answer of a child."""
    return pack(_scan(work, unpack(unit)))


def _scan(work: Scan, units: pa.Table) -> pa.Table:
    restart = partial(set_timers, work.cpu_s, work.wall_s)
    restart()
    try:
        rows = scan(work.source, units, work.spool, restart)
    finally:
        set_timers(0, 0)
    if broken := validate(rows, work.source.params.record):
        raise ThresherError(
            str(broken[0]), f"source {work.source.name}", "This is a fault of the scan: tell us"
        )
    return _stored(work.source, units, rows)


def _stored(source: Source, units: pa.Table, rows: pa.Table) -> pa.Table:
    if units.num_rows == 1:
        unit = [units["uri"][0].as_py()] * rows.num_rows
    else:
        unit = [split_fragment(media[0]["uri"])[0] for media in rows["media"].to_pylist()]
    rows = rows.append_column("unit", pa.array(unit, pa.string()))
    heads = [_head(row) for batch in rows.to_batches() for row in batch.to_pylist()]
    return rows.append_column("head", pa.array(heads, pa.uint64()))


def _write(path: Path, rows: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    write_bytes(path, sink.getvalue())


def _head(row: dict[str, Any]) -> int:
    """Hash of what an export shows of a row. Members that pass through unread count by their file's
    time as well, since nothing else tells that one changed."""
    extra = any(m["role"] == "extra" for m in row["media"])
    said = row["items"] if "items" in row else row["text"]
    shown = [row["media"], said, row["meta"], row["mtime_ns"] if extra else 0]
    return int.from_bytes(hashlib.blake2b(dumps(shown).encode(), digest_size=8).digest(), "big")


def _versioned(rows: pa.Table, known: pa.Table) -> pa.Table:
    """Give rows of ids that the catalog knows the next version number."""
    latest = known.group_by("id").aggregate([("version", "max")])
    place = pc.index_in(rows["id"], latest["id"].combine_chunks())
    before = latest["version_max"].take(place).fill_null(-1)
    version = pc.add(before, 1).cast(pa.int32())
    field = rows.schema.field("version")
    return rows.set_column(rows.schema.get_field_index("version"), field, version)


def _newest(known: pa.Table, present: np.ndarray) -> np.ndarray:
    """The latest version of each id among those in the listing: a file put back as it was is live
    again. The latest of all where none is in the listing."""
    first, second = words_of(known["id"]).T
    order = np.lexsort((known["version"].to_numpy(), present, second, first))
    newest = np.ones(len(order), np.bool_)
    same = (first[order][1:] == first[order][:-1]) & (second[order][1:] == second[order][:-1])
    newest[order[:-1][same]] = False
    return newest
