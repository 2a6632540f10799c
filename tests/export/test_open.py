"""`thresher.open`: what is written comes back decoded, whoever reads it and from wherever."""

import functools
import http.server
import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

import thresher
from tests.trainer import shards
from thresher.schemas import ThresherError
from thresher.schemas.segments import image_segment, text_segment


def _edit(i: int) -> shards.Sample:
    """An edit: two images, and an instruction that comes in three versions."""
    more = {"caption.en.short": f"brief {i}", "caption.zh.long": f"长 {i}"}
    segments = [
        image_segment(".0.png", "cond", 20, 10, drop="img"),
        text_segment(f"words {i}", "cond", variants=more, drop="text"),
        image_segment(".1.png", "target", 16, 8),
    ]
    members = {".0.png": shards.png(20, 10, seed=i), ".1.png": shards.png(16, 8, seed=100 + i)}
    return shards.Sample(segments, members, name=f"edit{i}", task="edit")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shards.write_export(tmp_path / "out", [_edit(i) for i in range(40)], per_shard=5)


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The export behind a real HTTP server."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _keys(dataset: Any) -> list[str]:
    return [sample["__key__"] for sample in dataset]


def test_segments_come_back_decoded_with_a_version_of_each_text(folder: Path) -> None:
    dataset = thresher.open(str(folder))
    wanted = {edit.name: edit for edit in (_edit(i) for i in range(40))}
    passes = []
    for _ in range(2):
        drawn = []
        for sample in dataset:
            edit = wanted[sample["json"]["key"]]
            for segment, given in zip(sample["segments"], edit.segments, strict=True):
                assert given.items() <= segment.items()
                if segment["kind"] == "image":
                    told = np.asarray(Image.open(io.BytesIO(edit.members[given["ref"]])))
                    assert (np.asarray(segment["image"]) == told).all()
                else:
                    assert segment["texts"] == {"text": given["ref"], **given["variants"]}
                    assert segment["texts"][segment["version"]] == segment["text"]
                    drawn.append(segment["version"])
        assert {drawn.count(name) > 5 for name in drawn} == {True} and len(set(drawn)) == 3
        passes.append(drawn)
    assert passes[0] != passes[1] and len(passes[0]) == 40
    again = [s["segments"][1]["version"] for s in thresher.open(str(folder))]
    assert again == passes[0]


def test_ranks_and_workers_read_each_sample_once_and_a_shuffle_loses_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = _keys(thresher.open(str(folder)))
    assert everything == sorted(everything) and len(everything) == 40, "the fixture's order"
    mixed = thresher.open(str(folder), shuffle=20, seed=3)
    first, second = _keys(mixed), _keys(mixed)
    assert first != second and first != everything and sorted(first) == sorted(second) == everything
    assert _keys(thresher.open(str(folder), shuffle=20, seed=3)) == first
    chosen = thresher.open(str(folder)).select(lambda sample: sample["json"]["key"] == "edit7")
    assert len(_keys(chosen)) == 1
    found = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        dataset = thresher.open(str(folder), shuffle=20)
        found.append(_keys(DataLoader(dataset, batch_size=None, num_workers=2)))
    assert len(found[0]) == len(found[1]) == 20 and sorted(found[0] + found[1]) == everything


def test_an_export_is_read_over_http(folder: Path, address: str) -> None:
    far, near = list(thresher.open(address)), list(thresher.open(str(folder)))
    assert [s["__key__"] for s in far] == [s["__key__"] for s in near]
    assert far[0]["segments"][0]["image"].tobytes() == near[0]["segments"][0]["image"].tobytes()
    with pytest.raises(ThresherError, match=r"elsewhere/dataset.json: there is no such file"):
        thresher.open(f"{address}/elsewhere")


def test_a_bad_image_costs_its_sample_and_a_cut_shard_stops(tmp_path: Path) -> None:
    samples = [_edit(i) for i in range(4)]
    samples[2].members[".1.png"] = b"no image"
    folder = shards.write_export(tmp_path / "out", samples)
    with pytest.warns(UserWarning, match=r"all-00000-of-00001.tar, record \w{32}: "):
        names = [sample["json"]["key"] for sample in thresher.open(str(folder))]
    assert sorted(names) == ["edit0", "edit1", "edit3"]
    (tar,) = folder.glob("*.tar")
    whole = tar.read_bytes()
    for spoilt, told in [
        (whole[:3000], "the shard has 3000 bytes, and was written with"),
        (b"?" * 600 + whole[600:], "a shard cannot be read"),
    ]:
        tar.write_bytes(spoilt)
        with pytest.raises(ThresherError, match=rf"{told}.*thresher verify"):
            list(thresher.open(str(folder)))
    tar.unlink()
    with pytest.raises(ThresherError, match="tar: there is no such file"):
        list(thresher.open(str(folder)))


def test_what_cannot_be_opened_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = shards.write_export(tmp_path / "empty", [])
    with pytest.raises(ThresherError, match="holds no records"):
        thresher.open(str(empty))
    (empty / "dataset.json").write_text("{}")
    with pytest.raises(ThresherError, match="not as it was written"):
        thresher.open(str(empty))
    with pytest.raises(ThresherError, match="there is no such file"):
        thresher.open(str(tmp_path))
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(ThresherError, match=r"webdataset is not installed. Run `pip install webdataset`"):
        thresher.open(str(empty))
