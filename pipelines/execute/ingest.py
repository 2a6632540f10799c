"""Ingest: list the sources, enter what is new as new parts, and say which catalog rows are live.

A row is live if it is the newest version of its id and the listing still shows the file that
holds it, unchanged. So nothing about presence needs to be stored.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.ingest import Listing, Source, list_source, scan
from thresher.pipelines.store.catalog import Catalog, stored_schema
from thresher.pipelines.store.files import write_bytes
from thresher.schemas.ids import id_halves
from thresher.schemas.sidecar import dumps
from thresher.schemas.uris import split_fragment

UNIT = ["unit", "mtime_ns", "etag"]
FOLDER_SLICE = 4096
"""Folder files that one scanning task enters."""


@dataclass(frozen=True)
class Listed:
    """What one source holds now."""

    source: Source
    listing: Listing


@dataclass(frozen=True)
class Presence:
    """State of every catalog row, in catalog order."""

    newest: np.ndarray
    """bool: of all versions of this id, the one that counts."""
    present: np.ndarray
    """bool: the listing still shows the file, unchanged."""


def list_sources(sources: Sequence[Source]) -> list[Listed]:
    """List every source of a table.

    A column mapping counts as part of a file's state: another one gives other records.
    """
    return [Listed(s, _marked(list_source(s), s.params.columns)) for s in sources]


def _marked(listing: Listing, mapping: Mapping[Any, str]) -> Listing:
    if not mapping:
        return listing
    units = listing.units
    etag = pc.binary_join_element_wise(units["etag"], dumps(mapping), "|")
    marked = units.set_column(units.schema.get_field_index("etag"), units.schema.field("etag"), etag)
    return Listing(marked, listing.problems)


def known_units(catalog: Catalog) -> pa.Table:
    """(source, unit, mtime_ns, etag, size, id, version) of every catalog row, in catalog order."""
    columns = ["source", *UNIT, "size", "id", "version"]
    schema = stored_schema("image")
    empty = pa.schema([schema.field(c) for c in columns]).empty_table()
    tables = [catalog.read(p, columns) for p in range(len(catalog.rows))]
    return pa.concat_tables([empty, *tables], promote_options="permissive")


def new_units(listed: Listed, known: pa.Table) -> pa.Table:
    """The units of a listing that the catalog does not hold in this state."""
    units = listed.listing.units
    if not known.num_rows:
        return units
    seen = known.filter(pc.equal(known["source"], listed.source.name))
    tokens = pc.unique(_token(seen, "unit", listed.source))
    return units.filter(pc.invert(pc.is_in(_token(units, "uri", listed.source), tokens)))


def presence(listed: Sequence[Listed], known: pa.Table) -> Presence:
    """Which catalog rows are the newest of their id, and which still stand in the listing."""
    present = np.zeros(known.num_rows, np.bool_)
    for one in listed:
        mine = pc.equal(known["source"], one.source.name)
        tokens = pc.unique(_token(one.listing.units, "uri", one.source))
        shown = pc.is_in(_token(known, "unit", one.source), tokens)
        present |= pc.and_(mine, shown).to_numpy()
    return Presence(_newest(known, present), present)


def enter(
    catalog: Catalog,
    listed: Sequence[Listed],
    known: pa.Table,
    part_size: int | None,
    runner: Any,
    spool: Path,
) -> int:
    """Scan new units and append their records as new parts; returns how many records entered."""
    scratch = catalog.folder / "scan"
    tables: list[pa.Table] = []
    for one in listed:
        units = new_units(one, known)
        if not units.num_rows:
            continue
        slices = list(_slices(one.source, units))
        work = partial(scan_to_file, one.source, str(spool), str(scratch))
        files = list(runner.map(work, enumerate(slices)))
        found = pa.concat_tables([pa.ipc.open_file(pa.memory_map(f)).read_all() for f in files])
        tables.append(_versioned(_ordered(one.source, found), known))
    catalog.append(tables, part_size, "image")
    for file in scratch.glob("*"):
        file.unlink()
    return sum(t.num_rows for t in tables)


def scan_to_file(source: Source, spool: str, scratch: str, item: tuple[int, pa.Table]) -> str:
    """Scan some units and write their rows to a file; returns its path."""
    number, units = item
    rows = scan(source, units, spool)
    rows = rows.append_column("unit", _unit_of(source, units, rows))
    rows = rows.append_column("head", pa.array(list(map(_head, rows.to_pylist())), pa.uint64()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    path = Path(scratch) / f"{source.name}-{number:06d}.arrow"
    write_bytes(path, sink.getvalue())
    return str(path)


def _head(row: dict[str, Any]) -> int:
    """Hash of what an export shows of a row. Members that pass through unread count by their file's
    time as well, since nothing else tells that one changed."""
    extra = any(m["role"] == "extra" for m in row["media"])
    shown = [row["media"], row["text"], row["meta"], row["mtime_ns"] if extra else 0]
    return int.from_bytes(hashlib.blake2b(dumps(shown).encode(), digest_size=8).digest(), "big")


def _unit_of(source: Source, units: pa.Table, rows: pa.Table) -> pa.Array:
    if units.num_rows == 1:
        return pa.array([units["uri"][0].as_py()] * rows.num_rows, pa.string())
    media = rows["media"].to_pylist()
    return pa.array([split_fragment(m[0]["uri"])[0] for m in media], pa.string())


def _slices(source: Source, units: pa.Table) -> Iterator[pa.Table]:
    units = units.sort_by("uri")
    size = FOLDER_SLICE if source.kind == "folder" else 1
    for start in range(0, units.num_rows, size):
        yield units.slice(start, size)


def _ordered(source: Source, rows: pa.Table) -> pa.Table:
    """Folder rows by id; rows of containers as their files hold them."""
    if source.kind != "folder":
        return rows
    first, second = halves(rows)
    return rows.take(pa.array(np.lexsort((second, first))))


def _versioned(rows: pa.Table, known: pa.Table) -> pa.Table:
    """Give rows of ids that the catalog knows the next version number."""
    latest = known.group_by("id").aggregate([("version", "max")])
    place = pc.index_in(rows["id"], latest["id"].combine_chunks())
    before = latest["version_max"].take(place).fill_null(-1)
    version = pc.add(before, 1).cast(pa.int32())
    field = rows.schema.field("version")
    return rows.set_column(rows.schema.get_field_index("version"), field, version)


def _token(table: pa.Table, uri: str, source: Source) -> pa.ChunkedArray:
    """One text for a file in one state: uri, time, etag; and size, where a file is one record."""
    columns = [uri, "mtime_ns", "etag"] + (["size"] if source.kind == "folder" else [])
    parts = [pc.fill_null(table[c].cast(pa.string()), "") for c in columns]
    return pc.binary_join_element_wise(*parts, "\x00")


def _newest(known: pa.Table, present: np.ndarray) -> np.ndarray:
    """The latest version of each id among those in the listing: a file put back as it was is live
    again. The latest of all where none is in the listing."""
    first, second = halves(known)
    order = np.lexsort((known["version"].to_numpy(), present, second, first))
    newest = np.ones(len(order), np.bool_)
    same = (first[order][1:] == first[order][:-1]) & (second[order][1:] == second[order][:-1])
    newest[order[:-1][same]] = False
    return newest


def halves(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Both halves of the column `id` as uint64; together they sort as the bytes do."""
    chunks = [
        np.frombuffer(c.buffers()[1], np.uint8)[c.offset * 16 :][: len(c) * 16] for c in table["id"].chunks
    ]
    flat = np.concatenate([np.zeros(0, np.uint8), *chunks])
    return id_halves(flat.reshape(-1, 16))
