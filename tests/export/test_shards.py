"""What an export holds, and that other readers agree with it."""

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from tests.trainer.shards import words, write_export
from thresher.operators.export.members import member_names
from thresher.operators.export.verify import verify
from thresher.schemas.index import INDEX
from thresher.schemas.sidecar import row_from_json


def _index(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "index.parquet").to_pylist()


def _members(folder: Path) -> dict[str, bytes]:
    found = {}
    for tar in sorted(folder.glob("*.tar")):
        with tarfile.open(tar) as archive:
            for info in archive:
                found[info.name] = archive.extractfile(info).read()
    return found


@pytest.mark.acceptance("C12")
def test_original_bytes_sidecars_keys_and_unknown_members_survive(
    image_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    export(image_pool, "out")
    found = _members(tmp_path / "out")
    schema = pa.ipc.read_schema(pa.BufferReader((tmp_path / "out/schema.arrow").read_bytes()))
    extensions = ["jpg", "png", "webp", "gif", "avif", "tif", "bmp", "jpg"]
    expected = 0
    for row, extension in zip(image_pool.rows, extensions, strict=True):
        key = row["id"].hex()
        assert found[f"{key}.{extension}"] == image_pool.data(row)
        record = row_from_json(found[f"{key}.json"].decode(), schema)
        assert record["key"] == row["key"] and record["meta"] == row["meta"]
        assert record["bytes_sha"] == row["bytes_sha"] and record["media"] == row["media"]
        assert record["schema_version"] == 1
        assert (f"{key}.txt" in found) == bool(row["text"])
        if row["text"]:
            assert found[f"{key}.txt"].decode() == row["text"]
        expected += 3 + bool(row["text"])
    key = image_pool.rows[-1]["id"].hex()
    assert found[f"{key}.npy"] == b"\x93NUMPY" + bytes(range(100))
    assert found[f"{key}.seg.png"] == b"mask"
    assert found[f"{key}.orig.JSON"] == b"[]"
    assert b"long name" in found.values()
    assert len(found) == expected + 4


def test_record_holds_no_history_of_the_run(
    image_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    export(image_pool, "out")
    record = json.loads(next(v for k, v in _members(tmp_path / "out").items() if k.endswith(".json")))
    assert not {"version", "size", "mtime_ns", "etag", "reason", "message", "row"} & set(record)
    assert str(tmp_path) not in json.dumps(record)


@pytest.mark.acceptance("C13")
def test_tar_webdataset_and_index_agree(
    blob_pool: Callable[..., Any], export: Callable[..., Any], tmp_path: Path
) -> None:
    pool = blob_pool(60)
    summary = export(pool, "out", shard_size=40_000, buckets={"base": 256})
    folder = tmp_path / "out"
    index = _index(folder)
    assert summary["records"] == len(index) == 60
    assert len({row["shard"] for row in index}) > 3
    members = _members(folder)
    for row in index:
        shard = (folder / row["shard"]).read_bytes()
        places = zip(row["members"], row["member_offsets"], row["member_sizes"], strict=True)
        for name, offset, size in places:
            assert shard[offset : offset + size] == members[row["key"] + name]
    names = [
        name
        for tar in sorted(folder.glob("*.tar"))
        for name in subprocess.run(
            ["tar", "-tf", tar], capture_output=True, check=True, text=True
        ).stdout.split()
    ]
    ordered = sorted(index, key=lambda row: (row["shard"], row["ordinal"]))
    assert names == [row["key"] + member for row in ordered for member in row["members"]]
    tars = [str(tar) for tar in sorted(folder.glob("*.tar"))]
    samples = list(webdataset.WebDataset(tars, shardshuffle=False, empty_check=False))
    assert [s["__key__"] for s in samples] == [row["key"] for row in ordered]
    by_id = {row["id"].hex(): row for row in pool.rows}
    assert all(s["jpg"] == pool.data(by_id[s["__key__"]]) for s in samples)
    assert all(s["txt"].decode() == by_id[s["__key__"]]["text"] for s in samples)


@pytest.mark.acceptance("C13")
def test_dataset_and_wids_describe_the_files(
    blob_pool: Callable[..., Any], export: Callable[..., Any], tmp_path: Path
) -> None:
    export(blob_pool(30), "out", shard_size=20_000)
    folder = tmp_path / "out"
    dataset = json.loads((folder / "dataset.json").read_text())
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(dataset["files"]) | {"dataset.json"} == present
    for name, about in dataset["files"].items():
        data = (folder / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (about["sha256"], about["bytes"])
    wids = json.loads((folder / "wids.json").read_text())
    assert wids["__kind__"] == "wids-shard-index-v1" and wids["wids_version"] == 1
    assert sum(shard["nsamples"] for shard in wids["shardlist"]) == 30
    assert [shard["url"] for shard in wids["shardlist"]] == sorted(p.name for p in folder.glob("*.tar"))
    assert str(tmp_path) not in (folder / "dataset.json").read_text()
    assert dataset["columns"]["sharpness"]["unit"] == "levels^2"


@pytest.mark.slow
@pytest.mark.acceptance("C13")
def test_wids_opens_the_shards(
    blob_pool: Callable[..., Any], export: Callable[..., Any], tmp_path: Path
) -> None:
    wids = pytest.importorskip("wids")
    pool = blob_pool(30)
    export(pool, "out", shard_size=20_000)
    samples = wids.ShardListDataset(
        str(tmp_path / "out/wids.json"), transformations=[], cache_dir=str(tmp_path / "out"), keep=True
    )
    by_id = {row["id"].hex(): row for row in pool.rows}
    assert len(samples) == 30
    for sample in samples:
        assert sample[".jpg"].read() == pool.data(by_id[sample["__key__"]])


def test_index_rows(blob_pool: Callable[..., Any], export: Callable[..., Any], tmp_path: Path) -> None:
    pool = blob_pool(8)
    pool.rows[3]["text"] = None
    export(pool, "out", buckets={"base": 256})
    table = pq.read_table(tmp_path / "out/index.parquet")
    assert table.schema.equals(INDEX)
    rows = {row["id"]: row for row in table.to_pylist()}
    for given in pool.rows:
        row = rows[given["id"]]
        assert row["widths"] == [given["width"]] and row["heights"] == [given["height"]]
        assert row["kinds"] == ("cT" if given["text"] else "T")
        assert dict(row["text_chars"]) == ({"text": len(given["text"])} if given["text"] else {})
        assert row["bytes_sha"] == given["bytes_sha"] and row["dup_group"] == given["dup_group"]
        scores = dict(row["scores"])
        assert set(scores) == {"width", "height", "bytes", "sharpness", "dup_group"}
        assert row["sampling_weight"] == 1.0 and row["group_id"] == given["id"] and row["split"] is None
        assert (row["bucket"] == "small") == (given["width"] == 100)


def test_empty_table(blob_pool: Callable[..., Any], export: Callable[..., Any], tmp_path: Path) -> None:
    summary = export(blob_pool(0), "out")
    assert (summary["records"], summary["shards"]) == (0, 0)
    assert verify(str(tmp_path / "out")).ok


def test_member_names_never_clash() -> None:
    given = ["json", "TXT", "npy", "NPY", "a/../b", "jpg", "segments.json", "x" * 300, "", "é\udcff\n"]
    names = member_names(given, ["jpg"])
    assert len({name.lower() for name in names}) == len(given)
    assert all("/" not in name and len(name.encode()) <= 68 and name.isprintable() for name in names)
    assert names[:4] == [".orig.json", ".orig.TXT", ".npy", ".orig.NPY"]


def test_what_training_leaves_beside_an_export_is_no_fault(tmp_path):
    folder = write_export(tmp_path / "export", [words("Only words.")])
    for name in ("tokens/bytes/all.parquet", "stored/pixels16/all.tar"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
    assert verify(str(folder)).faults == []
    (folder / "stray.tar").write_bytes(b"x")
    assert [fault.file for fault in verify(str(folder)).faults] == ["stray.tar"]
