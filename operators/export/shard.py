"""The second pass: one shard, its bytes fetched in source order, written in hash order, read back."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from thresher.operators.export import sana
from thresher.operators.export.files import atomic, explain_full_disk, write_whole
from thresher.operators.export.images import Target, render
from thresher.operators.export.members import member_names
from thresher.operators.export.params import ExportParams, Reencode
from thresher.operators.export.pictures import Picture
from thresher.operators.export.placement import Shard
from thresher.operators.export.previous import Previous
from thresher.operators.export.rows import INDEXED, ROW
from thresher.operators.views.opener import MediaError, Opener
from thresher.schemas import Media, ThresherError
from thresher.schemas.ids import words_of
from thresher.schemas.index import INDEX
from thresher.schemas.segments import SEGMENTS
from thresher.schemas.tar import END, Packed, pack
from thresher.schemas.uris import split_fragment

WINDOW = 64 << 20
"""Bytes that are held at once: within it reads go by file and offset, writes by hash."""

_FETCHED = [name for name in ROW.names if name not in INDEXED or name in ("source", "bytes_sha")]


@dataclass(frozen=True)
class ShardMaker:
    """Writes shards of one export into `folder`."""

    folder: Path
    export: str
    """Digest of the export's identity: a shard of another export is never taken for a finished one."""
    params: ExportParams
    roots: Mapping[str, str]
    spool: str
    previous: Previous | None
    """The export that unchanged records are copied from."""

    def finished(self, shard: Shard) -> dict[str, dict[str, Any]] | None:
        """What `make` returned when it wrote this shard, or None if it must be written."""
        index, tar = self.folder / shard.index, self.folder / shard.tar
        if not index.exists() or not tar.exists():
            return None
        data = index.read_bytes()
        stored = pq.ParquetFile(pa.BufferReader(data))
        facts = {k.decode(): v.decode() for k, v in (stored.schema_arrow.metadata or {}).items()}
        size = tar.stat().st_size
        if facts.get("export") != self.export or facts.get("shard_bytes") != str(size):
            return None
        sha = hashlib.sha256(data).hexdigest()
        records = stored.metadata.num_rows
        entries = _entries(shard, records, facts["shard_sha256"], size, sha, len(data))
        if not self.params.sana:
            return entries
        beside = sana.read_entries(self.folder, shard, records)
        return entries | beside if beside else None

    def make(self, shard: Shard, rows: pa.Table) -> dict[str, dict[str, Any]]:
        """Write the shard of `rows` (`rows.ROW`) and then its index; returns their `files` entries.

        Raises `previous.Damaged` if a record cannot be copied from there.
        """
        high, low = words_of(rows["id"]).T
        rows = rows.take(pa.array(np.lexsort((low, high, rows["order"].to_numpy()))))
        made = rows["record"].is_valid().to_numpy()
        fresh, copied = rows.filter(pa.array(made)), rows.filter(pa.array(~made))
        old = self.previous.find(shard, copied["content"]) if self.previous else INDEX.empty_table()
        records = self.previous.copy(old) if self.previous else iter(()), self._pack(fresh)
        placed: list[Placed] = []
        sidecars = sana.Sidecars(self.params.sana)
        path = self.folder / shard.tar
        expected = int(rows["read"].to_numpy().sum()) + rows.nbytes + len(END)
        with explain_full_disk(path, expected), atomic(path) as file:
            for is_fresh in made.tolist():
                packed = next(records[is_fresh])
                placed.append(_place(file.size, packed))
                sidecars.add(packed)
                file.write(packed.data)
            file.write(END)
        sha = file.sha256.hexdigest()
        _read_back(path, rows["id"], placed, file.size)
        facts = {"export": self.export, "shard_bytes": str(file.size), "shard_sha256": sha}
        order = np.where(made, np.cumsum(made) - 1, len(fresh) + np.cumsum(~made) - 1)
        described = pa.concat_tables([_described(fresh), old.select(_DESCRIBED)]).take(pa.array(order))
        data = _parquet(shard, described, placed, facts)
        beside = sidecars.write(self.folder, shard)
        index_sha = write_whole(self.folder / shard.index, data)
        return beside | _entries(shard, len(placed), sha, file.size, index_sha, len(data))

    def _pack(self, rows: pa.Table) -> Iterator[Packed]:
        """Each row's members, fetched from the sources, in the rows' order."""
        opener = Opener(self.roots, self.spool)
        try:
            for window in _windows(rows):
                records = window.select(_FETCHED).to_pylist()
                data = self._read(records, opener)
                for i, row in enumerate(records):
                    yield pack(row["id"].hex(), self._members(row, data.pop(i)))
        finally:
            opener.close()

    def _read(self, records: list[dict[str, Any]], opener: Opener) -> dict[int, list[bytes]]:
        """The bytes of every medium of each record, read by file and offset."""
        wanted = []
        for i, row in enumerate(records):
            for m, medium in enumerate(row["media"]):
                path, fragment = split_fragment(medium["uri"])
                cell = parse_qs(fragment).get("row", ["0"])[0]
                wanted.append((row["source"], path, medium["offset"] or int(cell), i, m))
        data: dict[int, list[bytes]] = {i: [b""] * len(row["media"]) for i, row in enumerate(records)}
        for *_, i, m in sorted(wanted):
            row = records[i]
            medium = Media(**row["media"][m])
            try:
                data[i][m] = opener.read(row["source"], medium)
            except MediaError as error:
                raise self._lost(row, medium, f"cannot be read: {error}") from error
        return data

    def _members(self, row: dict[str, Any], data: list[bytes]) -> dict[str, bytes]:
        media = [Media(**m) for m in row["media"]]
        own = {".json": row["record"].encode(), SEGMENTS: row["segments"].encode()}
        shown = [i for i, medium in enumerate(media) if medium.role == "image"]
        for i, picture in zip(shown, row["pictures"], strict=True):
            own[picture["name"]] = self._image(row, media[i], data[i], picture)
        if row["text"]:
            own[".txt"] = row["text"].encode()
        extras = [i for i, medium in enumerate(media) if medium.role == "extra"]
        names = member_names([media[i].format for i in extras], [p["name"][1:] for p in row["pictures"]])
        return own | {name: data[i] for name, i in zip(names, extras, strict=True)}

    def _image(self, row: dict[str, Any], medium: Media, data: bytes, picture: Picture) -> bytes:
        if hashlib.sha256(data).digest() != picture["sha"]:
            raise self._lost(row, medium, "has changed since it was measured")
        if not picture["encode"]:
            return data
        extension = picture["name"][1:]
        encode = self.params.reencode or Reencode(format=_FORMATS[extension])
        try:
            return render(data, Target(picture["width"], picture["height"], extension, encode))
        except MediaError as error:
            raise self._lost(row, medium, f"cannot be decoded: {error}") from error

    def _lost(self, row: dict[str, Any], medium: Media, what: str) -> ThresherError:
        return ThresherError(
            f"{what} (record {row['id'].hex()})",
            where=f"{self.roots.get(row['source'], row['source']).rstrip('/')}/{medium.uri}",
            mend="Run again: a changed file becomes a new version of its record, a vanished one leaves",
        )


_FORMATS: Any = {"jpg": "jpeg", "png": "png", "webp": "webp"}


def _windows(rows: pa.Table) -> Iterator[pa.Table]:
    """Slices of `rows` that need at most WINDOW bytes each, or hold one row."""
    start, held = 0, 0
    for i, size in enumerate(rows["read"].to_numpy()):
        if held and held + size > WINDOW:
            yield rows.slice(start, i - start)
            start, held = i, 0
        held += int(size)
    if start < len(rows):
        yield rows.slice(start)


class Placed(NamedTuple):
    """Where a record lies in its tar: fields of the index."""

    offset: int
    size: int
    crc32: int
    members: list[str]
    member_offsets: list[int]
    member_sizes: list[int]


def _place(start: int, packed: Packed) -> Placed:
    offsets = [start + offset for offset in packed.member_offsets]
    crc = zlib.crc32(packed.data)
    return Placed(start, len(packed.data), crc, packed.members, offsets, packed.member_sizes)


_DESCRIBED = [name for name in INDEX.names if name not in ("shard", "ordinal", *Placed._fields)]
"""Fields of the index that a record has wherever it lies."""


def _described(rows: pa.Table) -> pa.Table:
    """Those fields of new records, from their `ROW`s."""
    ids, pictures = rows["id"].to_pylist(), rows["pictures"].to_pylist()
    made = {
        "key": [value.hex() for value in ids],
        "widths": [[picture["width"] for picture in held] for held in pictures],
        "heights": [[picture["height"] for picture in held] for held in pictures],
        "n_images": [len(held) for held in pictures],
        "group_id": ids,
    }
    fields = [INDEX.field(name) for name in _DESCRIBED]
    arrays = [pa.array(made[f.name], f.type) if f.name in made else rows[f.name] for f in fields]
    return pa.table(arrays, schema=pa.schema(fields))


def _parquet(shard: Shard, described: pa.Table, placed: list[Placed], facts: Mapping[str, str]) -> bytes:
    columns: dict[str, Any] = {
        "shard": [shard.tar] * len(placed),
        "ordinal": range(len(placed)),
        **{name: [getattr(place, name) for place in placed] for name in Placed._fields},
    }
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else described[f.name] for f in INDEX]
    schema = INDEX.with_metadata({**(INDEX.metadata or {}), **facts})
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, schema=schema).combine_chunks(), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _read_back(path: Path, ids: pa.ChunkedArray, placed: list[Placed], size: int) -> None:
    """Check every record of a written shard against what was sent to the disk."""
    with open(path, "rb", buffering=0) as file:
        for i, place in enumerate(placed):
            if zlib.crc32(file.read(place.size)) != place.crc32:
                path.unlink()
                key = ids[i].as_py().hex()
                raise ThresherError(
                    f"the record {key} at offset {place.offset} does not read back as written",
                    where=str(path),
                    mend="Check the disk and the memory of this machine, then run again",
                )
        if file.read() != END or file.tell() != size:
            path.unlink()
            raise ThresherError("the archive's end does not read back", where=str(path), mend="Run again")


def _entries(
    shard: Shard, records: int, sha: str, size: int, index_sha: str, index_size: int
) -> dict[str, dict[str, Any]]:
    return {
        shard.tar: {"sha256": sha, "bytes": size, "records": records},
        shard.index: {"sha256": index_sha, "bytes": index_size, "records": records},
    }
