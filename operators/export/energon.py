"""What NVIDIA Megatron-Energon opens an export by without preparing it: `.nv-meta/` and `NAME.tar.idx`.

Source: repository NVIDIA/Megatron-Energon, megatron/energon/flavors/webdataset (prepare.py, indexing.py,
itar.py, structs.py). Its documentation calls the tables internal, so these are those of the
version `ENERGON`.
"""

import errno
import hashlib
import json
import os
import secrets
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from thresher.operators.export.files import TEMPORARY, explain_full_disk, sync_folder, write_whole

ENERGON = "7.4.1"
"""The version whose `energon prepare` makes the same tables."""
META = ".nv-meta"
OFFSETS = ".idx"
"""What follows a tar's name: a file with the offset of each record and of the archive's end, as uint64."""

_PICTURES = {"jpg", "png", "webp", "gif", "bmp", "tif"}
"""Extensions that its decoder, webdataset's, takes for images."""
_RECORD_BYTES = 450
"""Of `index.sqlite`, for a record of four members; measured."""
BATCH = 1024
_SAMPLE = "INSERT INTO samples VALUES (?, ?, ?, ?, ?)"
_PART = "INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)"
_TABLES = """
PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;
CREATE TABLE samples (tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE,
  sample_index INTEGER NOT NULL, byte_offset INTEGER, byte_size INTEGER);
CREATE TABLE sample_parts (tar_file_id INTEGER, sample_index INTEGER, part_name TEXT,
  content_byte_offset INTEGER, content_byte_size INTEGER);
"""
_INDEXES = """
CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index);
CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset);
CREATE INDEX idx_sample_parts_full
  ON sample_parts(tar_file_id, sample_index, part_name, content_byte_offset, content_byte_size);
"""
_LIBRARY = 96
"""Offset in a database of the four bytes that name the SQLite version that wrote it, the one thing that
differs between machines."""

Files = dict[str, dict[str, Any]]


def write(folder: Path, who: str, files: Mapping[str, dict[str, Any]]) -> Files:
    """Write all of it for the tars among `files`, the entries of `dataset.json`; returns their own entries.

    Records that are all one captioned image open as `CaptioningSample`; others as `CrudeWebdataset`, which
    the reader cooks. Records of another split than `train` are excluded. `who`: digest of the export.
    """
    tars = {name: files[name] for name in sorted(files) if name.endswith(".tar")}
    meta = folder / META
    meta.mkdir(exist_ok=True)
    made: Files = {}
    forms: set[str | None] = set()
    excluded: list[str] = []
    path = meta / "index.sqlite"
    with _database(path, _RECORD_BYTES * sum(about["records"] for about in tars.values())) as database:
        for number, tar in enumerate(tars):
            ends = [0]
            for rows in _batches(folder, tar):
                database.executemany(_SAMPLE, _samples(number, len(ends) - 1, rows))
                database.executemany(_PART, _parts(number, len(ends) - 1, rows))
                ends += pc.add(rows["offset"], rows["size"]).to_pylist()
                forms |= _forms(rows)
                held_out = pc.not_equal(rows["split"].fill_null("train"), "train")
                excluded += [f"{tar}/{key}" for key in rows["key"].filter(held_out).to_pylist()]
            made[tar + OFFSETS] = _written(folder / f"{tar}{OFFSETS}", np.array(ends, "<u8").tobytes())
    made[f"{META}/index.sqlite"] = _entry(path)
    counts = {name: about["records"] for name, about in tars.items()}
    shards = "".join(f"{name} {about['sha256']}\n" for name, about in tars.items())
    identity = hashlib.blake2b(f"{who}\n{shards}".encode(), digest_size=16).digest()
    split = {"split_parts": {"train": list(tars), "val": [], "test": []}, "exclude": excluded}
    texts = {
        ".info.json": _json({"energon_version": ENERGON, "shard_counts": counts}),
        "dataset.yaml": _json(_dataset(forms)),
        "split.yaml": _json(split),
        "index.uuid": str(uuid.UUID(bytes=identity)),
    }
    return made | {f"{META}/{name}": _written(meta / name, text.encode()) for name, text in texts.items()}


def _batches(folder: Path, tar: str) -> Iterator[pa.RecordBatch]:
    names = ["key", "offset", "size", "members", "member_offsets", "member_sizes", "kinds", "split"]
    index = folder / "index.parquet" / f"{tar.removesuffix('.tar')}.parquet"
    with pq.ParquetFile(index) as file:
        yield from file.iter_batches(BATCH, columns=names)


def _samples(number: int, first: int, rows: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    columns = (rows[name].to_pylist() for name in ("offset", "size"))
    return zip(repeat(number), rows["key"].to_pylist(), count(first), *columns)


def _parts(number: int, first: int, rows: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    places = pc.add(pc.list_parent_indices(rows["members"]), first).to_pylist()
    names = pc.utf8_slice_codeunits(rows["members"].flatten(), 1).to_pylist()
    columns = (rows[name].flatten().to_pylist() for name in ("member_offsets", "member_sizes"))
    return zip(repeat(number), places, names, *columns)


def _forms(rows: pa.RecordBatch) -> set[str | None]:
    """Extensions of the images of records that are one captioned image; None if there are others."""
    forms: set[str | None] = set()
    shapes = zip(rows["kinds"].to_pylist(), map(tuple, rows["members"].to_pylist()), strict=True)
    for kinds, members in set(shapes):
        found = [name[1:] for name in members if name[1:] in _PICTURES]
        forms.add(found[0] if kinds == "cT" and ".txt" in members and len(found) == 1 else None)
    return forms


def _dataset(forms: set[str | None]) -> dict[str, Any]:
    named = sorted(form for form in forms if form)
    if None in forms or not named:
        return {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}
    sample = {"__module__": "megatron.energon", "__class__": "CaptioningSample"}
    return {"sample_type": sample, "field_map": {"image": ",".join(named), "caption": "txt"}}


@contextmanager
def _database(path: Path, expected: int) -> Iterator[sqlite3.Connection]:
    """A new database that takes its name only when it is complete: the same bytes for the same rows."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with explain_full_disk(path, expected), _full_disk_is_no_fault_of_sqlite():
            with closing(sqlite3.connect(temporary)) as database:
                database.executescript(_TABLES)
                yield database
                database.executescript(_INDEXES)
            with open(temporary, "r+b") as file:
                file.seek(_LIBRARY)
                file.write(bytes(4))
                os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _full_disk_is_no_fault_of_sqlite() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        raise OSError(errno.ENOSPC, str(error)) from error


def _json(value: Any) -> str:
    """JSON, which is YAML too."""
    return json.dumps(value, indent=1) + "\n"


def _written(path: Path, data: bytes) -> dict[str, Any]:
    return {"sha256": write_whole(path, data), "bytes": len(data)}


def _entry(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
