"""`dataset.json`, which makes an export exist, and the small files beside it."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.operators.export import energon
from thresher.operators.export.files import TEMPORARY, sync_folder, write_whole
from thresher.operators.export.params import ExportParams
from thresher.operators.export.placement import Shard
from thresher.operators.export.sana import SIDECARS
from thresher.schemas import ThresherError
from thresher.schemas.sidecar import dumps

DATASET_VERSION = 4
MANIFEST = "dataset.json"
SCHEMA = "schema.arrow"
WIDS = "wids.json"

_ANEW = "Run the recipe again: the export is written anew"

Files = dict[str, dict[str, Any]]


def identity_of(identity: Mapping[str, Any], params: ExportParams, seed: int) -> dict[str, Any]:
    """What the export's bytes follow from; no path, host or time."""
    return {
        "identity": {k: v for k, v in sorted(identity.items()) if k != "previous"},
        "parameters": params.model_dump(mode="json", exclude={"to"}),
        "seed": seed,
    }


def digest(data: Mapping[str, Any]) -> str:
    """BLAKE2b-128 of canonical JSON, as hex."""
    return hashlib.blake2b(dumps(data).encode(), digest_size=16).hexdigest()


def read_finished(folder: Path) -> dict[str, Any] | None:
    """The `dataset.json` of a finished export, or None if there is none as it was written."""
    try:
        return parsed((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None


def parsed(data: bytes) -> dict[str, Any] | None:
    """The content of a `dataset.json`, or None if it is not as it was written."""
    try:
        dataset: dict[str, Any] = json.loads(data)
        return dataset if dataset.pop("digest") == digest(dataset) else None
    except (ValueError, KeyError, AttributeError):
        return None


def require_current(dataset: Mapping[str, Any], where: Path | str, mend: str = _ANEW) -> None:
    """Raise ThresherError if an export has another format than this Thresher writes and reads."""
    version = dataset["dataset_version"]
    if version != DATASET_VERSION:
        raise ThresherError(
            f"the export there has version {version} of the format, this Thresher reads {DATASET_VERSION}",
            where=str(where),
            mend=mend,
        )


def refuse_other(finished: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Raise ThresherError if the finished export in `folder` is not the wanted one."""
    if any(finished.get(key) != value for key, value in json.loads(dumps(wanted)).items()):
        raise ThresherError(
            "this folder holds a finished export of other records or parameters",
            where=str(folder),
            mend="Remove it, or name another folder with `export.to`",
        )


def prepare(folder: Path) -> None:
    """Make the folders; remove what a killed export left half-written."""
    (folder / "index.parquet").mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / "index.parquet", folder / energon.META):
        for file in place.glob(f".*{TEMPORARY}"):
            file.unlink(missing_ok=True)


def finish(
    folder: Path,
    who: Mapping[str, Any],
    generation: int,
    schema: pa.Schema,
    shards: Sequence[Shard],
    files: Files,
) -> dict[str, Any]:
    """Write the schema, the indexes of wids and Energon and last `dataset.json`; returns its content."""
    files = dict(files)
    for name, data in ((SCHEMA, schema.serialize().to_pybytes()), (WIDS, _wids(who, files))):
        files[name] = {"sha256": write_whole(folder / name, data), "bytes": len(data)}
    # Shards that an unfinished export of other records left here are known by their index files.
    for index in (folder / "index.parquet").glob("*.parquet"):
        if f"index.parquet/{index.name}" not in files and b"export" in (pq.read_schema(index).metadata or {}):
            for ending in (".tar", f".tar{energon.OFFSETS}", *SIDECARS):
                (folder / f"{index.stem}{ending}").unlink(missing_ok=True)
            index.unlink()
    files |= energon.write(folder, digest(who), files)
    dataset = {
        "dataset_version": DATASET_VERSION,
        **who,
        "generation": generation,
        "counts": counts(files, shards),
        "columns": {f.name: _described(f) for f in schema},
        "files": files,
    }
    sync_folder(folder / "index.parquet")
    whole = dataset | {"digest": digest(dataset)}
    text = json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / MANIFEST, text.encode())
    return dataset


def counts(files: Files, shards: Sequence[Shard]) -> dict[str, Any]:
    """Records, shards and bytes of all tars, and the records of each bucket of this generation."""
    tars = [about for name, about in files.items() if name.endswith(".tar")]
    buckets = Counter[str]()
    for shard in shards:
        buckets[shard.bucket] += files[shard.tar]["records"]
    return {
        "records": sum(about["records"] for about in tars),
        "shards": len(tars),
        "bytes": sum(about["bytes"] for about in tars),
        "buckets": dict(buckets),
    }


def _wids(who: Mapping[str, Any], files: Files) -> bytes:
    """The shard list that the `wids` reader opens."""
    shards = [
        {"url": name, "nsamples": about["records"], "filesize": about["bytes"]}
        for name, about in sorted(files.items())
        if name.endswith(".tar")
    ]
    index = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": str(who["identity"].get("table", "dataset")),
        "shardlist": shards,
    }
    return (dumps(index) + "\n").encode()


def _described(field: pa.Field) -> dict[str, str]:
    """A column's dtype, unit, range, meaning, back end and revision."""
    metadata = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
    return {"dtype": str(field.type)} | metadata
