"""SANA's sidecars, and which text `KEY.txt` holds."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from thresher.operators.captions.draw.draw import CaptionDraw
from thresher.operators.export import ExportParams, ShardExport
from thresher.operators.export.verify import verify
from thresher.schemas import Column, FieldError

COLUMNS = {c.name: c for c in CaptionDraw().writes()}


def with_captions(row: dict[str, Any], i: int) -> dict[str, Any]:
    """Records with two candidates, one with a score; with one and none; with none at all."""
    one = dict.fromkeys(["lang", "level", "split", "model", "score", "softmax", "power", "human", "claims"])
    scores = [20.5 + i % 10, None]
    found = [
        one | {"name": f"vlm{k}.en.short", "text": f"caption {k} 图 of {i}", "score": scores[k]}
        for k in (0, 1)
    ]
    found = found[: 2 - i % 3]
    drawn = found[-1]["text"] if found else None
    return row | {"caption.candidates": found, "caption.drawn": drawn, "synthetic_text_share": 1.0}


def keys_of(shard: Path) -> set[str]:
    with tarfile.open(shard) as archive:
        return {name.partition(".")[0] for name in archive.getnames()}


def sidecars(folder: Path) -> dict[str, Any]:
    return {p.name: json.loads(p.read_text()) for p in sorted(folder.glob("*_captions*.json"))}


@pytest.mark.acceptance("I24")
def test_sidecars_have_exactly_the_keys_of_their_tar(blob_pool: Any, export: Any, tmp_path: Path) -> None:
    pool = blob_pool(60)
    rows = [with_captions(row, i) for i, row in enumerate(pool.rows)]
    export(pool, "out", rows=rows, more=COLUMNS, sana=True, shard_size="40KB")
    folder = tmp_path / "out"
    shards = sorted(folder.glob("*.tar"))
    assert len(shards) > 2 and len(sidecars(folder)) == 2 * len(shards)
    for shard in shards:
        captions = json.loads((folder / f"{shard.stem}_captions.json").read_text())
        scores = json.loads((folder / f"{shard.stem}_captions_clip_score.json").read_text())
        assert {*captions} == {*scores} == keys_of(shard)
        assert all({*scores[key]} <= {*captions[key]} for key in scores)
    assert verify(str(folder)).ok
    dataset = json.loads((folder / "dataset.json").read_text())
    assert {*sidecars(folder)} <= {*dataset["files"]} and dataset["counts"]["records"] == 60
    text = folder / f"{shards[0].stem}_captions.json"
    text.write_text(text.read_text().replace("caption 1", "caption 9"))
    assert [fault.file for fault in verify(str(folder)).faults] == [text.name]


def test_sana_and_webdataset_find_each_record_its_captions(
    blob_pool: Any, export: Any, tmp_path: Path
) -> None:
    """By the rules of SANA's loader: a suffix in place of `.tar`, `prompt` where nothing is scored."""
    pool = blob_pool(12)
    export(pool, "out", rows=[with_captions(r, i) for i, r in enumerate(pool.rows)], more=COLUMNS, sana=True)
    seen = 0
    for sample in webdataset.WebDataset(
        [str(p) for p in (tmp_path / "out").glob("*.tar")], shardshuffle=False
    ):
        info, key = json.loads(sample["json"]), sample["__key__"]
        beside = [sample["__url__"].replace(".tar", f"_captions{end}.json") for end in ("", "_clip_score")]
        texts, scores = (json.loads(Path(path).read_text())[key] for path in beside)
        info.update(texts)
        assert all(name in info and isinstance(info[name], str) for name in scores)
        candidates = {one["name"]: one for one in info["caption.candidates"]}
        assert {name: one["text"] for name, one in candidates.items()}.items() <= texts.items()
        assert scores == {n: one["score"] for n, one in candidates.items() if one["score"] is not None}
        assert (
            texts.get("prompt")
            == (sample["txt"].decode() if "txt" in sample else None)
            == info["caption.drawn"]
        )
        seen += 1
    assert seen == 12


def test_sidecars_are_the_same_bytes_however_they_were_made(
    blob_pool: Any, export: Any, tree: Any, tmp_path: Path
) -> None:
    pool = blob_pool(40)
    rows = [with_captions(row, i) for i, row in enumerate(pool.rows)]
    given: dict[str, Any] = {"more": COLUMNS, "sana": True, "shard_size": "40KB"}
    export(pool, "first", rows=rows[:30], **given)
    identity = {"table": "images", "fingerprint": "f" * 8, "previous": str(tmp_path / "first")}
    for path in pool.root.iterdir():  # copied, not made: the sources of the first 30 are gone
        path.unlink() if int(path.stem) < 30 else None
    export(pool, "copied", rows=rows, identity=identity, part_size=9, **given)
    blob_pool(40)
    export(pool, "fresh", rows=rows[::-1], **given)
    assert tree(tmp_path / "copied") == tree(tmp_path / "fresh")

    (tmp_path / "fresh" / "dataset.json").unlink()  # cut off, and a sidecar lost
    next((tmp_path / "fresh").glob("*_clip_score.json")).unlink()
    export(pool, "fresh", rows=rows, **given)
    assert tree(tmp_path / "copied") == tree(tmp_path / "fresh")

    identity |= {"previous": str(tmp_path / "first")}
    export(pool, "grown", rows=rows, identity=identity, placement="append", **given)
    assert {*sidecars(tmp_path / "first")} < {*sidecars(tmp_path / "grown")}
    assert verify(str(tmp_path / "grown")).ok


def test_the_text_member_is_the_drawn_caption_or_the_column_that_is_named(
    blob_pool: Any, export: Any, tmp_path: Path
) -> None:
    pool = blob_pool(9)
    rows = [with_captions(row, i) for i, row in enumerate(pool.rows)]
    drawn = {row["id"].hex(): row["caption.drawn"] for row in rows}
    raw = {row["id"].hex(): row["text"] for row in rows}
    for name, wanted, given in [
        ("plain", raw, {}),
        ("drawn", drawn, {"more": COLUMNS}),
        ("named", raw, {"more": COLUMNS, "text": "text"}),
    ]:
        export(pool, name, rows=rows, **given)
        reader = webdataset.WebDataset([str(p) for p in (tmp_path / name).glob("*.tar")], shardshuffle=False)
        samples = {s["__key__"]: s for s in reader}
        assert {k: s["txt"].decode() if "txt" in s else None for k, s in samples.items()} == wanted
        assert {k: json.loads(s["json"])["text"] for k, s in samples.items()} == raw
        index = pq.read_table(tmp_path / name / "index.parquet")
        assert dict(zip(index["key"].to_pylist(), index["text_chars"].to_pylist(), strict=True)) == {
            key: [("text", len(text))] if text else [] for key, text in wanted.items()
        }


def test_what_cannot_be_exported_is_told_before_anything_runs() -> None:
    columns = {"text": Column("text", pa.string(), "", ""), "width": Column("width", pa.int32(), "px", "")}
    for given, path in [
        ({"sana": True}, ("sana",)),
        ({"text": "txt"}, ("text",)),
        ({"text": "width"}, ("text",)),
    ]:
        with pytest.raises(FieldError) as caught:
            ShardExport(ExportParams.model_validate(given)).check(columns)
        assert caught.value.path == path
