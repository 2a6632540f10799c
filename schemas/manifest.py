"""An export as its readers find it: shards and checksums, from `dataset.json`, and any bytes of it."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.schemas.errors import ThresherError


@dataclass(frozen=True)
class Shard:
    """One tar, and the file of the index that describes it."""

    tar: str
    """Path or URL."""
    index: str
    stem: str
    records: int
    bytes: int
    tar_sha: str
    index_sha: str

    def rows(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The shard's index. Raises ThresherError if it is missing or not the one that was exported."""
        mend = "Export again, or run `thresher verify` to see what else has changed"
        try:
            data = fetch(self.index)
        except OSError as error:
            raise ThresherError("this file of the index is missing", where=self.index, mend=mend) from error
        if sha256(data).hexdigest() != self.index_sha:
            raise ThresherError("this index is stale: its checksum in dataset.json differs", self.index, mend)
        table = pq.ParquetFile(io.BytesIO(data))
        return table.read([c for c in columns if c in table.schema_arrow.names] if columns else None)


class Export(NamedTuple):
    """A finished export."""

    url: str
    """Folder or URL, without a slash at the end."""
    shards: list[Shard]
    columns: list[str]
    """Of its records."""

    def key(self, *parts: Any) -> str:
        """BLAKE2b-128 over the manifest and `parts`, as hex."""
        told = [(s.stem, s.bytes, s.records, s.tar_sha, s.index_sha) for s in self.shards]
        return blake2b(json.dumps([told, parts], sort_keys=True).encode(), digest_size=16).hexdigest()

    def home(self, what: str) -> Path:
        """Where `what` follows from the export is kept: in it, or in a cache if it cannot be written to."""
        if "://" not in self.url and os.access(self.url, os.W_OK):
            return Path(self.url, what)
        cache = os.environ.get("THRESHER_CACHE") or Path.home() / ".cache" / "thresher"
        return Path(cache, blake2b(self.url.encode(), digest_size=8).hexdigest(), what)


def open_export(export: str | Path) -> Export:
    """Read `dataset.json`. Raises ThresherError where there is none, or no record."""
    url = str(export).rstrip("/") if "://" in str(export) else str(Path(export).resolve())
    try:
        dataset = json.loads(fetch(f"{url}/dataset.json"))
        files = dataset["files"]
    except (OSError, ValueError, KeyError) as error:
        mend = "Name the folder of a finished export, e.g. run/export/images/latest"
        raise ThresherError(f"there is no export here: no dataset.json ({error})", url, mend) from error
    shards = []
    for tar, about in sorted(files.items()):
        stem = tar.removesuffix(".tar")
        index = f"index.parquet/{stem}.parquet"
        if tar.endswith(".tar") and index in files:
            told = about["records"], about["bytes"], about["sha256"], files[index]["sha256"]
            shards.append(Shard(f"{url}/{tar}", f"{url}/{index}", stem, *told))
    return Export(url, shards, list(dataset.get("columns", ())))


def fetch(url: str, start: int = 0, size: int | None = None) -> bytes:
    """Bytes [start, start + size) of a file, or all of it. Raises OSError; fewer bytes at its end."""
    if "://" in url:
        files, path = _remote(url.partition("://")[0]), url
        return files.cat_file(path, start, None if size is None else start + size)
    if size is None:
        return Path(url).read_bytes()
    room = bytearray(size)
    return bytes(room[: fetch_into(url, start, memoryview(room))])


def fetch_into(url: str, start: int, room: memoryview) -> int:
    """Fill `room` with a file's bytes from `start` on; returns how many there were. Raises OSError."""
    if "://" in url:
        data = fetch(url, start, len(room))
        room[: len(data)] = data
        return len(data)
    file = os.open(url, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.preadv(file, [room], start)
    finally:
        os.close(file)


@lru_cache
def _remote(protocol: str) -> Any:
    import fsspec

    return fsspec.filesystem(protocol)
