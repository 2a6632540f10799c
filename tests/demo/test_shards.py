"""The tar shards of the pool."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from thresher.pipelines.demo import read_truth


def test_members_are_keyed_as_the_truth_says(pool: Path) -> None:
    keys = {e.key for e in read_truth(pool / "truth.json") if e.source == "shards"}
    for name in ("stock.tar", "more.tar.gz"):
        with tarfile.open(pool / "shards" / name) as tar:
            stems = {f"{name}//{member.partition('.')[0]}" for member in tar.getnames()}
        assert stems == {key for key in keys if key.startswith(name)}


def test_sidecars_travel_beside_each_picture(pool: Path) -> None:
    with tarfile.open(pool / "shards" / "stock.tar") as tar:
        names = [name for name in tar.getnames() if name.startswith("000000.")]
        vector = tar.extractfile("000000.npy")
        assert vector is not None
        assert np.load(io.BytesIO(vector.read())).sum() == pytest.approx(1)
    assert names == [f"000000.{suffix}" for suffix in ("jpg", "json", "txt", "cls", "npy")]


def test_one_shard_is_cut_inside_a_picture(pool: Path) -> None:
    entries = [e for e in read_truth(pool / "truth.json") if e.key.startswith("cut-short.tar")]
    kept = [e.key for e in entries if e.status == "kept"]
    with tarfile.open(pool / "shards" / "cut-short.tar") as tar, pytest.raises(tarfile.ReadError):
        whole = []
        for member in tar:
            whole.append(member.name)
            data = tar.extractfile(member)
            assert data is not None and len(data.read()) == member.size
    assert sum(name.endswith(".jpg") for name in whole) == len(kept) + 1
    assert [e.reasons for e in entries if e.status == "failed"] == [("truncated_container",)]
