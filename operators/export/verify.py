"""Read an export back and find every byte that is not as it was written."""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.operators.export.files import TEMPORARY
from thresher.operators.export.manifest import MANIFEST, SCHEMA, read_finished, require_current
from thresher.schemas import ThresherError
from thresher.schemas.index import INDEX, LOCATED
from thresher.schemas.segments import SEGMENTS, kinds_of, problems
from thresher.schemas.sidecar import restore, row_from_json
from thresher.schemas.tar import END, members

BATCH = 256
"""Records whose JSON is checked together."""

Progress = Callable[[int, int], None]


class Fault(NamedTuple):
    """One thing that is wrong; `key` and `offset` (bytes into `file`) where it lies in a record."""

    file: str
    key: str | None
    offset: int | None
    what: str

    def __str__(self) -> str:
        record = f", record {self.key}" if self.key else ""
        place = f" at offset {self.offset}" if self.offset is not None else ""
        return f"{self.file}{record}{place}: {self.what}"


@dataclass
class VerifyReport:
    """What was read and what is wrong."""

    records: int = 0
    shards: int = 0
    bytes: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if everything is as it was written."""
        return not self.faults


def verify(export: str, progress: Progress | None = None) -> VerifyReport:
    """Check every file of the export in the folder `export` against `dataset.json` and the index.

    Checked: missing and extra files, SHA-256 and size of each file; for each record its CRC-32,
    tar headers, member names, offsets and sizes, its JSON against the schema and its segments.
    `progress` is called with (bytes done, bytes in all). Raises ThresherError if there is no finished
    export, or one of another version of the format.
    """
    folder = Path(export)
    dataset = read_finished(folder)
    if dataset is None and (folder / MANIFEST).exists():
        return VerifyReport(faults=[Fault(MANIFEST, None, None, "is not as it was written")])
    if dataset is None:
        raise ThresherError(
            f"there is no {MANIFEST}, so no finished export", where=export, mend="Run the recipe to finish it"
        )
    require_current(dataset, folder)
    files: dict[str, dict[str, Any]] = dataset["files"]
    report = VerifyReport()
    report.faults += _file_faults(folder, files)
    schema = None
    if not any(fault.file == SCHEMA for fault in report.faults):
        schema = pa.ipc.read_schema(pa.BufferReader((folder / SCHEMA).read_bytes()))
    done, total = 0, sum(about["bytes"] for name, about in files.items() if name.endswith(".tar"))
    for name, about in sorted(files.items()):
        path = folder / name
        if name.endswith(".tar") and path.exists():
            for size in _shard(path, about, schema, report):
                done += size
                if progress:
                    progress(done, total)
            report.shards += 1
            report.bytes += path.stat().st_size
    if report.ok and report.records != dataset["counts"]["records"]:
        what = f"counts {dataset['counts']['records']} records, the index {report.records}"
        report.faults.append(Fault(MANIFEST, None, None, what))
    return report


_BESIDE = ("tokens", "stored")
"""Folders of what training makes of an export: token counts, latents."""


def _file_faults(folder: Path, files: Mapping[str, dict[str, Any]]) -> Iterator[Fault]:
    """Files that are missing, extra or, but for tars, other than written."""
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    present = {name for name in present if name.partition("/")[0] not in _BESIDE}
    for name in sorted(set(files) - present):
        yield Fault(name, None, None, "is missing")
    for name in sorted(present - set(files) - {MANIFEST}):
        what = "half-written" if name.endswith(TEMPORARY) else "is no part of the export"
        yield Fault(name, None, None, what)
    for name, about in sorted(files.items()):
        path = folder / name
        if not name.endswith(".tar") and path.exists():
            with open(path, "rb") as file:
                sha = hashlib.file_digest(file, "sha256").hexdigest()
            if path.stat().st_size != about["bytes"] or sha != about["sha256"]:
                yield Fault(name, None, None, f"differs from its checksum in {MANIFEST}")


def _shard(
    path: Path, about: Mapping[str, Any], schema: pa.Schema | None, report: VerifyReport
) -> Iterator[int]:
    """Check one tar, adding to `report`; yields the bytes of each step."""
    index_name = f"index.parquet/{path.stem}.parquet"
    before = len(report.faults)
    sha = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        if not any(fault.file == index_name for fault in report.faults):
            index = pq.read_table(path.parent / index_name)
            if not index.schema.equals(INDEX):
                report.faults.append(Fault(index_name, None, None, "is no shard index of this version"))
            else:
                for batch in index.select([*LOCATED, "kinds"]).to_batches(BATCH):
                    read = list(_records(file, batch.to_pylist(), path.name, sha, report.faults))
                    report.faults += _json_faults(read, path.name, schema)
                    report.faults += _segment_faults(read, path.name)
                    report.records += len(batch)
                    yield sum(len(data) for _, data in read)
                if len(report.faults) == before and file.tell() + len(END) != about["bytes"]:
                    what = "the index leaves a gap after its last record"
                    report.faults.append(Fault(path.name, None, file.tell(), what))
        at_end = file.tell()
        rest = b""
        while chunk := file.read(1 << 22):
            rest = chunk
            sha.update(chunk)
            yield len(chunk)
        whole = sha.hexdigest() == about["sha256"] and file.tell() == about["bytes"]
    if not whole and len(report.faults) == before:
        what = f"differs from its checksum in {MANIFEST}, after the last record"
        report.faults.append(
            Fault(path.name, None, at_end, what if rest != END else "differs from its checksum")
        )


def _records(
    file: Any, rows: list[dict[str, Any]], shard: str, sha: Any, faults: list[Fault]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The bytes of each record that is whole; faults of the others."""
    for row in rows:
        if row["offset"] != file.tell():
            faults.append(
                Fault(shard, row["key"], row["offset"], "the index leaves a gap before this record")
            )
            file.seek(row["offset"])
        data = file.read(row["size"])
        sha.update(data)
        fault = _record_fault(row, data, shard)
        if fault:
            faults.append(Fault(shard, row["key"], row["offset"], fault))
        else:
            yield row, data


def _record_fault(row: dict[str, Any], data: bytes, shard: str) -> str | None:
    if len(data) < row["size"]:
        return f"the file ends {row['size'] - len(data)} bytes before the record does"
    if row["key"] != row["id"].hex() or row["shard"] != shard:
        return "the index names another record or shard"
    if zlib.crc32(data) != row["crc32"]:
        return "the bytes differ from their CRC-32"
    try:
        found = list(members(data))
    except ValueError as error:
        return str(error)
    names, offsets, sizes = row["members"], row["member_offsets"], row["member_sizes"]
    expected = [(row["key"] + n, o - row["offset"], s) for n, o, s in zip(names, offsets, sizes, strict=True)]
    return None if found == expected else f"the members are {[m[0] for m in found]}, the index says {names}"


def _json_faults(
    records: list[tuple[dict[str, Any], bytes]], shard: str, schema: pa.Schema | None
) -> list[Fault]:
    """Records whose JSON member breaks the schema: all at once, and one by one only if that fails."""
    if schema is None:
        return []
    texts = [_member(row, data, ".json") for row, data in records]
    try:
        parsed = [json.loads(text) for text in texts]
        if all(
            "id" in one and one["id"] == row["key"] for (row, _), one in zip(records, parsed, strict=True)
        ):
            for f in schema:
                pa.array([restore(one.get(f.name), f.type) for one in parsed], f.type)
            return []
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, KeyError, AttributeError):
        pass
    return [
        Fault(shard, row["key"], row["offset"], what)
        for (row, _), text in zip(records, texts, strict=True)
        if (what := _json_fault(row, text, schema))
    ]


def _json_fault(row: dict[str, Any], text: bytes, schema: pa.Schema) -> str | None:
    try:
        row_from_json(text.decode(), schema)
        record = json.loads(text)
        right = "id" in record and record["id"] == row["key"]
    except (ValueError, AttributeError, TypeError) as error:
        return f"the JSON member is not valid: {error}"
    return None if right else "the JSON member is of another record"


def _segment_faults(records: list[tuple[dict[str, Any], bytes]], shard: str) -> list[Fault]:
    """Records whose segments cannot be read, name no member, or are not those that the index tells of."""
    found = []
    for row, data in records:
        try:
            parts = json.loads(_member(row, data, SEGMENTS))
            told = problems(parts, row["members"])
            if not told and kinds_of(parts) != row["kinds"]:
                told = [f"the segments are {kinds_of(parts)}, the index says {row['kinds']}"]
        except (ValueError, AttributeError, TypeError) as error:
            told = [f"the member {SEGMENTS} is missing or no list of segments: {error}"]
        found += [Fault(shard, row["key"], row["offset"], what) for what in told]
    return found


def _member(row: dict[str, Any], data: bytes, name: str) -> bytes:
    """Raises ValueError if the record has no such member."""
    member = row["members"].index(name)
    start = row["member_offsets"][member] - row["offset"]
    return data[start : start + row["member_sizes"][member]]
