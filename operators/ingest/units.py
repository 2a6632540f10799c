"""Units: the files that hold records, as an Arrow table that grows in small batches."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.ingest import rows
from thresher.operators.ingest.files import IMAGE_SUFFIXES, Found
from thresher.operators.ingest.problems import Problems
from thresher.operators.ingest.source import Kind
from thresher.schemas.uris import quote_path

UNITS = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False, metadata={"meaning": "quoted, relative to the root"}),
        pa.field("size", pa.int64(), nullable=False, metadata={"meaning": "bytes"}),
        pa.field("mtime_ns", pa.int64(), metadata={"meaning": "null if the store does not say"}),
        pa.field("etag", pa.string(), nullable=False, metadata={"meaning": "what else tells a changed unit"}),
    ]
)

ENDINGS: dict[Kind, tuple[bytes, ...]] = {
    "folder": tuple(f".{suffix}".encode() for suffix in sorted(IMAGE_SUFFIXES)),
    "shards": (b".tar", b".tar.gz", b".tgz"),
    "parquet": (b".parquet", b".pq"),
    "documents": (
        *(
            suffix + packed
            for suffix in (b".jsonl", b".ndjson", b".json")
            for packed in (b"", b".gz", b".zst")
        ),
        b".parquet",
        b".pq",
    ),
}
"""File names that each kind of source takes, in any case."""

SIDECAR_SUFFIXES = (b".txt", b".caption", b".json", b".TXT", b".CAPTION", b".JSON")
"""Spellings of a sidecar's extension; the order gives the bits of `kinds`."""

_FILES = pa.schema([*UNITS, ("stem", pa.binary()), ("kinds", pa.int64()), ("digest", pa.int64())])


class Units:
    """Takes the files of a walk. The etag of an image ends in `+KINDS+STATE`: which sidecars share its
    stem, as a sum of bits, and a sum of hashes of their states."""

    def __init__(self, kind: Kind, problems: Problems) -> None:
        self._kind, self._problems = kind, problems
        self._files = rows.Chunks(_FILES)
        self._done: list[pa.Table] = []

    def wants(self, name: bytes) -> bool:
        """True if a file of this name matters, so that its size and age are needed."""
        return name.lower().endswith(ENDINGS[self._kind]) or (
            self._kind == "folder" and name.endswith(SIDECAR_SUFFIXES)
        )

    def add(self, found: Found) -> None:
        """Take one file; those of a folder one after another."""
        stem, _, suffix = found.path.rpartition(b".")
        etag = found.etag or str(found.size)
        kinds = digest = 0
        if self._kind == "folder" and b"." + suffix in SIDECAR_SUFFIXES:
            kinds = 1 << SIDECAR_SUFFIXES.index(b"." + suffix)
            state = f"{kinds} {found.mtime_ns} {etag}".encode()
            digest = int.from_bytes(hashlib.blake2b(state, digest_size=7).digest())
        uri = quote_path(found.path)
        self._files.add(
            uri=uri,
            size=found.size,
            mtime_ns=found.mtime_ns,
            etag=etag,
            stem=stem,
            kinds=kinds,
            digest=digest,
        )

    def folder_end(self) -> None:
        """All files of a folder have been added: sidecars lie in the folder of their image."""
        if self._files.rows >= rows.CHUNK:
            self._join()

    def finish(self) -> pa.Table:
        """The units."""
        self._join()
        return pa.concat_tables(self._done)

    def _join(self) -> None:
        files = self._files.take()
        if self._kind != "folder":
            self._done.append(files.select(UNITS.names))
            return
        beside = pc.greater(files["kinds"], 0)
        sidecars = files.filter(beside).select(["stem", "kinds", "digest"])
        images = files.filter(pc.invert(beside)).drop_columns(["kinds", "digest"])
        tags = sidecars.group_by("stem").aggregate([("kinds", "sum"), ("digest", "sum")])
        place = pc.index_in(images["stem"], tags["stem"])
        tag = [
            pc.fill_null(tags[name].take(place), 0).cast(pa.string()) for name in ("kinds_sum", "digest_sum")
        ]
        etag = pc.binary_join_element_wise(images["etag"], *tag, "+")
        self._done.append(pa.table([*images.select(UNITS.names[:3]).columns, etag], schema=UNITS))
        alone = pc.invert(pc.is_in(sidecars["stem"], images["stem"]))
        for counted in pc.value_counts(sidecars["kinds"].filter(alone)).to_pylist():
            suffix = SIDECAR_SUFFIXES[counted["values"].bit_length() - 1]
            self._problems.other(b"x" + suffix, counted["counts"])


def sidecars_of(etag: str) -> list[bytes]:
    """Extensions of the sidecars that an image unit's etag tells of."""
    kinds = int(etag.rsplit("+", 2)[1])
    return [suffix for bit, suffix in enumerate(SIDECAR_SUFFIXES) if kinds >> bit & 1]
