"""Energon opens an export as it lies there."""

import hashlib
import json
import os
import sqlite3
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.trainer import shards
from thresher.operators.export import energon
from thresher.operators.export.verify import verify
from thresher.schemas import Column, ThresherError

SPLIT = {"split": Column("split", pa.string(), "", "train, val, test")}
READER = Path(__file__).with_name("energon_reader.py")


def _meta(folder: Path) -> dict[str, Any]:
    texts = {
        path.name: path.read_text() for path in (folder / ".nv-meta").iterdir() if path.suffix != ".sqlite"
    }
    return {name: json.loads(text) if name != "index.uuid" else text for name, text in texts.items()}


def _tables(folder: Path) -> tuple[list[Any], list[Any]]:
    with sqlite3.connect(f"file:{folder}/.nv-meta/index.sqlite?mode=ro&immutable=1", uri=True) as database:
        samples, parts = (database.execute(f"SELECT * FROM {name}") for name in ("samples", "sample_parts"))
        return samples.fetchall(), parts.fetchall()


@pytest.mark.acceptance("T34")
def test_the_tables_tell_of_every_member_where_tar_finds_it(
    blob_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    export(blob_pool(40), "out", shard_size=30_000)
    folder = tmp_path / "out"
    tars = sorted(folder.glob("*.tar"))
    samples, parts = [], []
    for number, tar in enumerate(tars):
        starts: dict[str, int] = {}
        with tarfile.open(tar) as archive:
            for info in archive:
                key, _, part = info.name.partition(".")
                place = list(starts).index(key) if key in starts else len(starts)
                starts.setdefault(key, info.offset)
                parts.append((number, place, part, info.offset_data, info.size))
            offsets = [*starts.values(), archive.offset]
        assert (folder / f"{tar.name}.idx").read_bytes() == struct.pack(f"<{len(offsets)}Q", *offsets)
        ends = zip(starts.items(), offsets[1:], strict=True)
        samples += [(number, key, i, start, end - start) for i, ((key, start), end) in enumerate(ends)]
    assert _tables(folder) == (samples, parts) and len(samples) == 40
    meta = _meta(folder)
    held = [sum(row[0] == number for row in samples) for number in range(len(tars))]
    names = [tar.name for tar in tars]
    assert meta[".info.json"] == {
        "energon_version": "7.4.1",
        "shard_counts": dict(zip(names, held, strict=True)),
    }
    assert meta["split.yaml"] == {"split_parts": {"train": names, "val": [], "test": []}, "exclude": []}
    assert meta["dataset.yaml"]["field_map"] == {"image": "jpg", "caption": "txt"}
    assert verify(str(folder)).ok
    with open(folder / ".nv-meta/index.sqlite", "r+b") as file:
        file.seek(5000)
        file.write(b"?")
    assert [fault.file for fault in verify(str(folder)).faults] == [".nv-meta/index.sqlite"]


def test_what_is_no_captioned_image_is_left_to_the_reader_and_other_splits_are_excluded(
    blob_pool: Any, image_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    pool = blob_pool(6)
    rows = [row | {"split": [None, "val", "train"][i % 3]} for i, row in enumerate(pool.rows)]
    export(pool, "split", rows=rows, more=SPLIT)
    out = {f"all-00000-of-00001.tar/{row['id'].hex()}" for row in rows if row["split"] == "val"}
    assert set(_meta(tmp_path / "split")["split.yaml"]["exclude"]) == out and len(out) == 2
    for name, chosen in [("avif", [4]), ("no text", [0, 1])]:
        export(image_pool, name, rows=[image_pool.rows[i] for i in chosen])
        assert _meta(tmp_path / name)["dataset.yaml"]["__class__"] == "CrudeWebdataset"
    export(image_pool, "two", rows=image_pool.rows[1:3])
    assert _meta(tmp_path / "two")["dataset.yaml"]["field_map"]["image"] == "png,webp"


def test_the_bytes_follow_from_the_shards_and_name_no_library(
    blob_pool: Any, export: Callable[..., Any], tree: Any, tmp_path: Path
) -> None:
    pool = blob_pool(30)
    export(pool, "a", shard_size=20_000)
    export(pool, "b", shard_size=20_000, rows=pool.rows[::-1], part_size=3)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert (tmp_path / "a/.nv-meta/index.sqlite").read_bytes()[96:100] == bytes(4)
    export(pool, "c", shard_size=20_000, rows=pool.rows[1:])
    ids = {_meta(tmp_path / name)["index.uuid"] for name in "abc"}
    assert len(ids) == 2


def test_a_disk_that_is_full_is_told_and_leaves_no_half_a_table(
    blob_pool: Any, export: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = blob_pool(300, size=10)
    tables = energon._TABLES
    monkeypatch.setattr(energon, "_TABLES", f"{tables}PRAGMA max_page_count = 9;")
    with pytest.raises(ThresherError, match=r"index.sqlite: the disk is full; this file needs \d+ bytes"):
        export(pool, "out")
    assert list((tmp_path / "out/.nv-meta").iterdir()) == []
    monkeypatch.undo()
    export(pool, "out")
    assert verify(str(tmp_path / "out")).ok


@pytest.mark.slow
@pytest.mark.acceptance("T34")
def test_energon_reads_the_samples(tmp_path: Path) -> None:
    """With the Python that `ENERGON_PYTHON` names, else this one."""
    python = os.environ.get("ENERGON_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import megatron.energon"], capture_output=True).returncode:
        pytest.skip("Energon is not installed; ENERGON_PYTHON may name a Python that has it")
    plain = [shards.plain(f"picture {i}", shards.png(24 + i, 16, seed=i), name=f"p{i}") for i in range(9)]
    plain[3].split = "val"
    for name, samples in (("plain", plain), ("mixed", [*plain, shards.words("only words")])):
        folder = shards.write_export(tmp_path / name, samples, per_shard=4)
        done = subprocess.run([python, READER, folder], capture_output=True, text=True, check=True)
        read = {one["key"]: one for one in map(json.loads, done.stdout.splitlines())}
        wanted = {
            hashlib.blake2b(s.name.encode(), digest_size=16).hexdigest(): s for s in plain if not s.split
        }
        assert len(read) == len(wanted) + (name == "mixed") and wanted.keys() <= read.keys()
        for key, sample in wanted.items():
            if name == "plain":
                image = sample.segments[1]
                assert read[key]["shape"] == [3, image["height"], image["width"]]
                assert read[key]["caption"] == sample.segments[0]["ref"]
            else:
                assert json.loads(read[key]["text"])["segments.json"] == sample.segments
