"""Units: the files that hold records, as an Arrow table that grows in small batches."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.ingest.files import IMAGE_SUFFIXES, Found, extension
from thresher.operators.ingest.problems import Problems
from thresher.schemas.uris import quote_path

UNITS = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False, metadata={"meaning": "quoted, relative to the root"}),
        pa.field("size", pa.int64(), nullable=False, metadata={"meaning": "bytes"}),
        pa.field("mtime_ns", pa.int64(), metadata={"meaning": "null if the store does not say"}),
        pa.field("etag", pa.string(), nullable=False, metadata={"meaning": "what else tells a changed unit"}),
    ]
)

SIDECAR_SUFFIXES = (b".txt", b".caption", b".json", b".TXT", b".CAPTION", b".JSON")
"""Spellings of a sidecar's extension; the order gives the bits of an etag's first two digits."""

CHUNK = 8192
"""Rows that wait as Python objects."""

_IMAGES = pa.schema([*UNITS, pa.field("stem", pa.binary())])
_SIDECARS = pa.schema([("stem", pa.binary()), ("suffix", pa.int8()), ("digest", pa.uint64())])


class Chunks:
    """Rows that turn into Arrow batches of `CHUNK`."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._batches: list[pa.RecordBatch] = []
        self._waiting: list[tuple[Any, ...]] = []
        self.rows = 0

    def add(self, *row: Any) -> None:
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) == CHUNK:
            self._flush()

    def take(self) -> pa.Table:
        """All rows so far; starts afresh."""
        self._flush()
        batches, self._batches, self.rows = self._batches, [], 0
        return pa.Table.from_batches(batches, self._schema)

    def _flush(self) -> None:
        if self._waiting:
            columns = zip(*self._waiting, strict=True)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
            self._batches.append(pa.record_batch(arrays, schema=self._schema))
            self._waiting = []


class ContainerUnits:
    """One unit for each file with one of the given endings."""

    def __init__(self, problems: Problems, endings: tuple[bytes, ...]) -> None:
        self._endings = endings
        self._rows = Chunks(UNITS)

    def wants(self, name: bytes) -> bool:
        return name.lower().endswith(self._endings)

    def add(self, found: Found) -> None:
        self._rows.add(quote_path(found.path), found.size, found.mtime_ns, found.etag or str(found.size))

    def folder_end(self) -> None:
        return None

    def finish(self) -> pa.Table:
        return self._rows.take()


class ImageUnits:
    """One unit for each image file; its etag tells which sidecars share its stem and their state."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._images = Chunks(_IMAGES)
        self._sidecars = Chunks(_SIDECARS)
        self._joined: list[pa.Table] = []

    def wants(self, name: bytes) -> bool:
        return extension(name) in IMAGE_SUFFIXES or name.endswith(SIDECAR_SUFFIXES)

    def add(self, found: Found) -> None:
        stem, _, suffix = found.path.rpartition(b".")
        dotted = b"." + suffix
        if dotted in SIDECAR_SUFFIXES:
            state = f"{dotted!r} {found.size} {found.mtime_ns} {found.etag}".encode()
            digest = int.from_bytes(hashlib.blake2b(state, digest_size=8).digest())
            self._sidecars.add(stem, SIDECAR_SUFFIXES.index(dotted), digest)
        else:
            self._images.add(quote_path(found.path), found.size, found.mtime_ns, found.etag, stem)

    def folder_end(self) -> None:
        """Sidecars lie in the folder of their image, so whole folders are joined."""
        if self._images.rows + self._sidecars.rows >= CHUNK:
            self._join()

    def finish(self) -> pa.Table:
        self._join()
        return pa.concat_tables(self._joined) if self._joined else UNITS.empty_table()

    def _join(self) -> None:
        images, sidecars = self._images.take(), self._sidecars.take()
        stems = pc.unique(sidecars["stem"])
        tags = _tags(sidecars, stems)
        place = pc.index_in(images["stem"], value_set=stems)
        tag = pc.fill_null(tags.take(place), "")
        both = pc.binary_join_element_wise(images["etag"], tag, "+")
        etag = pc.if_else(pc.equal(images["etag"], ""), tag, both)
        self._joined.append(images.drop_columns(["stem", "etag"]).append_column(UNITS.field("etag"), etag))
        self._count_orphans(sidecars, images["stem"])

    def _count_orphans(self, sidecars: pa.Table, stems: pa.ChunkedArray) -> None:
        alone = pc.invert(pc.is_in(sidecars["stem"], value_set=stems))
        for counted in pc.value_counts(sidecars["suffix"].filter(alone)).to_pylist():
            self._problems.other(b"x" + SIDECAR_SUFFIXES[counted["values"]], counted["counts"])


def _tags(sidecars: pa.Table, stems: pa.Array) -> pa.ChunkedArray:
    """For each stem two hex digits for the kinds of its sidecars and 16 for their state."""
    at = pc.index_in(sidecars["stem"], value_set=stems).to_numpy()
    kinds = np.zeros(len(stems), np.uint8)
    state = np.zeros(len(stems), np.uint64)
    np.bitwise_or.at(kinds, at, np.left_shift(1, sidecars["suffix"].to_numpy()).astype(np.uint8))
    np.add.at(state, at, sidecars["digest"].to_numpy())
    chunks = []
    for i in range(0, len(stems), CHUNK):
        pairs = zip(kinds[i : i + CHUNK], state[i : i + CHUNK], strict=True)
        chunks.append(pa.array([f"{k:02x}{s:016x}" for k, s in pairs]))
    return pa.chunked_array(chunks, pa.string())


def sidecars_of(etag: str) -> list[bytes]:
    """Extensions of the sidecars that an image unit's etag tells of."""
    tag = etag.rpartition("+")[2]
    kinds = int(tag[:2], 16) if len(tag) == 18 else 0
    return [suffix for bit, suffix in enumerate(SIDECAR_SUFFIXES) if kinds >> bit & 1]
