"""Media addresses to bytes: whole files, byte ranges, members of inflated archives, Parquet cells."""

import hashlib
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import fsspec
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from thresher.operators.views.inflate import gzip_state, inflate
from thresher.schemas import Media, Reason
from thresher.schemas.uris import split_fragment, unquote_path

MAX_BYTES = 1 << 30
"""A single image above 1 GiB is refused (`too_many_bytes`) before it is read."""


class MediaError(Exception):
    """One medium cannot be read or decoded; costs its record and nothing else."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(message)


def spool_name(source: str, uri: str) -> str:
    """File name, in the spool folder, of the inflated form of a compressed archive: `FILE#tar=STATE`."""
    return hashlib.blake2b(f"{source}\x00{uri}".encode(), digest_size=16).hexdigest() + ".tar"


class Opener:
    """Reads media of several sources. Keeps one open file and one Parquet row group; not thread-safe."""

    def __init__(self, roots: Mapping[str, str], spool: str = "") -> None:
        """`roots`: source name -> where its relative uris start (a folder or an fsspec URL)."""
        self._roots = dict(roots)
        self._spool = spool
        self._filesystems: dict[str, tuple[Any, str]] = {}
        self._file: tuple[bytes, Any] | None = None
        self._table: tuple[tuple[str, str, str], pq.ParquetFile] | None = None
        self._group: tuple[Any, int] | None = None
        """The cells of a row group, and the number of its first row."""

    def read(self, source: str, medium: Media) -> bytes:
        """The medium's bytes. Raises MediaError: unreadable, missing_source, truncated, too_many_bytes."""
        path, fragment = split_fragment(medium.uri)
        try:
            if fragment.startswith("row="):
                return self._cell(source, path, fragment)
            if fragment.startswith("tar="):
                return self._local(self._inflated(source, medium.uri), medium)
            fs, root = self._filesystem(source)
            raw = unquote_path(path)
            if isinstance(fs, LocalFileSystem):
                return self._local(os.path.join(os.fsencode(root), raw), medium)
            end = None if medium.offset is None else medium.offset + (medium.length or 0)
            return bytes(fs.cat_file(f"{root}/{os.fsdecode(raw)}", start=medium.offset, end=end))
        except FileNotFoundError as error:
            raise MediaError(Reason.MISSING_SOURCE, f"{medium.uri} has vanished") from error
        except OSError as error:
            raise MediaError(Reason.UNREADABLE, f"{medium.uri}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close what is kept open."""
        if self._file:
            self._file[1].close()
        self._file = self._table = self._group = None

    def _filesystem(self, source: str) -> tuple[Any, str]:
        if source not in self._roots:
            raise MediaError(Reason.MISSING_SOURCE, f"the recipe has no source {source!r} any more")
        if source not in self._filesystems:
            fs, root = fsspec.core.url_to_fs(str(self._roots[source]))
            self._filesystems[source] = fs, root.rstrip("/") or "/"
        return self._filesystems[source]

    def _local(self, path: bytes, medium: Media) -> bytes:
        if medium.offset is None:
            with open(path, "rb") as file:
                _refuse_large(os.fstat(file.fileno()).st_size, medium)
                return file.read()
        assert medium.length is not None
        _refuse_large(medium.length, medium)
        if self._file is None or self._file[0] != path:
            self.close()
            self._file = path, open(path, "rb")  # noqa: SIM115 - kept for the next member
        file = self._file[1]
        data: bytes = os.pread(file.fileno(), medium.length, medium.offset)
        if len(data) < medium.length:
            raise MediaError(Reason.TRUNCATED, f"{medium.uri} ends inside this member")
        return data

    def _inflated(self, source: str, uri: str) -> bytes:
        """The inflated archive; made again if it has gone from the spool."""
        target = os.path.join(self._spool, spool_name(source, uri))
        if not os.path.exists(target):
            path, fragment = split_fragment(uri)
            fs, root = self._filesystem(source)
            with fs.open(f"{root}/{os.fsdecode(unquote_path(path))}", "rb") as file:
                if gzip_state(file) != fragment.removeprefix("tar="):
                    raise MediaError(Reason.MISSING_SOURCE, f"{path} has changed since it was entered")
                inflate(file, target)
        return os.fsencode(target)

    def _cell(self, source: str, path: str, fragment: str) -> bytes:
        query = parse_qs(fragment)
        row, column = int(query["row"][0]), query["column"][0]
        key = source, path, column
        if self._table is None or self._table[0] != key:
            fs, root = self._filesystem(source)
            file = fs.open(f"{root}/{os.fsdecode(unquote_path(path))}", "rb")
            self._table, self._group = (key, pq.ParquetFile(file)), None
        value = self._row_group(row, column)
        if value is not None and "item" in query:
            item = int(query["item"][0])
            value = value[item] if item < len(value) else None
        if isinstance(value, Mapping):
            value = value.get("bytes")
        if value is None:
            raise MediaError(Reason.EMPTY_FILE, f"{path} row {row}: the cell is null")
        return bytes(value)

    def _row_group(self, row: int, column: str) -> Any:
        assert self._table is not None
        key, file = self._table
        if self._group is None or not 0 <= row - self._group[1] < len(self._group[0]):
            start = 0
            for g in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(g).num_rows
                if row < start + rows:
                    self._group = file.read_row_group(g, columns=[column]).column(column), start
                    break
                start += rows
            else:
                raise MediaError(Reason.MISSING_SOURCE, f"{key[1]} has no row {row} any more")
        return self._group[0][row - self._group[1]].as_py()


def _refuse_large(size: int, medium: Media) -> None:
    if size > MAX_BYTES:
        raise MediaError(Reason.TOO_MANY_BYTES, f"{medium.uri} has {size} bytes, more than {MAX_BYTES}")
