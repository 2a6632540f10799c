"""Every record leaves as segments, which come back from the tar as they were."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from tests.trainer import shards
from thresher.operators.captions.reason.sample import Sample, SampleClaim, SampleStep
from thresher.operators.export.manifest import digest
from thresher.operators.export.verify import verify
from thresher.schemas import Column, ThresherError
from thresher.schemas.segments import SEGMENTS, image_segment, texts_of
from thresher.schemas.sidecar import dumps

REASONING = {"reasoning": Column("reasoning", pa.string(), "JSON", "a sample")}


def _sample(kind: str, lang: str = "en", **given: Any) -> Sample:
    words = {
        "en": ("a red car", "1. Cars first.\n2. Then é.", 'A red car "GO".'),
        "zh": ("红车", "1. 车。\n2. 红。", "红车。"),
    }
    prompt, trace, refined = words[lang]
    steps = tuple(SampleStep(role="step", text=line[3:], claims=("c1",)) for line in trace.splitlines())
    claims = (SampleClaim(id="c1", text=prompt, verdict="supported", asked=True),)
    return Sample(
        id="r1", kind=kind, pattern="decomposition", lang=lang, prompt=prompt, trace=trace, steps=steps,
        refined=refined, claims=claims, **given,
    )  # fmt: skip


@pytest.mark.acceptance("I33")
def test_samples_round_trip_through_shards_as_segments(
    image_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    failed = _sample("T2TI", status="fail", fails=("pattern",))
    samples = [None, _sample("T2T"), _sample("T2TI", "zh"), _sample("rewrite"), failed, _sample("T2TI"), None]
    rows = [r | {"reasoning": s and s.dumps()} for r, s in zip(image_pool.rows, samples, strict=False)]
    export(image_pool, "out", rows=rows, more=REASONING)
    folder = tmp_path / "out"
    assert verify(str(folder)).ok
    tars = [str(tar) for tar in folder.glob("*.tar")]
    read = {s["__key__"]: s for s in webdataset.WebDataset(tars, shardshuffle=False, empty_check=False)}
    index = {row["key"]: row for row in pq.read_table(folder / "index.parquet").to_pylist()}
    members = {f"{key}{name}" for key, row in index.items() for name in row["members"]}
    for row, sample in zip(rows, samples, strict=True):
        key = row["id"].hex()
        about = index[key]
        parts = json.loads(read[key]["segments.json"])
        if sample is None or sample.status == "fail":
            assert about["task"] == "image" and about["kinds"] == ("cT" if row["text"] else "T")
            assert [p["ref"] for p in parts] == [row["text"], f".{row['format'].replace('jpeg', 'jpg')}"][
                -len(parts) :
            ]
            continue
        assert Sample.loads(json.loads(read[key]["json"])["reasoning"]) == sample
        texts = [part["ref"] for part in parts if part["kind"] == "text"]
        thought = [] if sample.kind == "rewrite" else [sample.trace]
        assert texts == [sample.prompt, *thought, sample.refined]
        assert [part["loss"] for part in parts] == [False, *[True] * (len(parts) - 1)]
        assert [part["role"] for part in parts] == ["cond", *["target"] * (len(parts) - 1)]
        assert parts[0]["drop"] == "text" and parts[0]["turn"] == "user"
        assert about["kinds"] == {"T2T": "cxx", "T2TI": "cxxT", "rewrite": "cx"}[sample.kind]
        assert about["task"] == sample.kind.lower()
        assert list(dict(about["text_chars"]).values()) == [len(text) for text in texts]
        pictures = [part for part in parts if part["kind"] == "image"]
        assert bool(pictures) == (sample.kind == "T2TI") == (parts[-1]["kind"] == "image")
        for picture in pictures:
            assert key + picture["ref"] in members
            assert (picture["width"], picture["height"]) == (row["width"], row["height"])
        fields = {
            "kind",
            "role",
            "ref",
            "variants",
            "loss",
            "drop",
            "frame_time",
            "group",
            "turn",
            "width",
            "height",
        }
        assert all(set(part) == fields for part in parts)


def test_a_picture_that_is_resized_has_its_new_size_in_the_segment(
    image_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    row = image_pool.rows[0] | {"reasoning": _sample("T2TI").dumps()}
    export(image_pool, "out", rows=[row], more=REASONING, resize={"short_side": 32})
    (tar,) = (tmp_path / "out").glob("*.tar")
    with tarfile.open(tar) as archive:
        parts = json.load(archive.extractfile(f"{row['id'].hex()}.segments.json"))  # type: ignore[arg-type]
    (index,) = pq.read_table(tmp_path / "out/index.parquet").to_pylist()
    assert [parts[-1]["width"]] == index["widths"] and [parts[-1]["height"]] == index["heights"]


CAPTIONS = {
    name: Column(name, pa.string(), "", "a caption")
    for name in ("caption", "caption.en.short", "caption.zh.long", "caption.failed_check", "note.en.short")
}


def _parts(folder: Path) -> dict[str, list[dict[str, Any]]]:
    tars = [str(tar) for tar in folder.glob("*.tar")]
    read = webdataset.WebDataset(tars, shardshuffle=False, empty_check=False)
    return {s["__key__"]: json.loads(s["segments.json"]) for s in read}


def test_captions_that_passed_are_versions_of_the_text(
    image_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    bare, plain, written = image_pool.rows[:3]
    written = written | {"caption": "{}", "caption.en.short": "cafe\u0301", "note.en.short": "no caption"}
    only = image_pool.rows[3] | {"text": None, "caption.zh.long": "图"}
    rows = [bare, plain, written, only]
    export(image_pool, "out", rows=rows, more=CAPTIONS)
    assert verify(str(tmp_path / "out")).ok
    read = _parts(tmp_path / "out")
    index = {row["key"]: row for row in pq.read_table(tmp_path / "out/index.parquet").to_pylist()}
    versions = [
        {},
        {"text": plain["text"]},
        {"text": written["text"], "caption.en.short": "caf\u00e9"},
        {"caption.zh.long": "图"},
    ]
    for row, texts in zip(rows, versions, strict=True):
        *told, image = read[row["id"].hex()]
        about = index[row["id"].hex()]
        assert [texts_of(part) for part in told] == ([texts] if texts else [])
        assert all((part["role"], part["drop"], part["turn"]) == ("cond", "text", "none") for part in told)
        assert (image["kind"], image["role"], image["loss"]) == ("image", "target", True)
        assert image["ref"] in about["members"] and [image["width"]] == about["widths"]
        assert about["kinds"] == ("cT" if texts else "T")
        assert dict(about["text_chars"]) == {name: len(text) for name, text in texts.items()}


def test_the_index_has_the_split_of_a_record(
    blob_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    pool = blob_pool(6)
    splits = ["train", "val", "test", "train", None, "train"]
    rows = [row | {"split": split} for row, split in zip(pool.rows, splits, strict=True)]
    export(pool, "out", rows=rows, more={"split": Column("split", pa.string(), "", "train, val, test")})
    index = pq.read_table(tmp_path / "out/index.parquet", columns=["id", "split"]).to_pylist()
    assert {row["id"]: row["split"] for row in index} == {row["id"]: row["split"] for row in rows}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: [s[0] | {"ref": ".gone"}], "not in the record"),
        (lambda s: [s[0] | {"role": "clean"}], "has the role 'clean'"),
        (lambda s: [s[0] | {"loss": False}], "no segment is learnt"),
        (lambda s: {"kind": "image"}, "no list of segments"),
        (lambda s: [s[0], s[0]], "the index says T"),
    ],
)
def test_verify_finds_segments_that_break_the_contract(tmp_path: Path, change: Any, told: str) -> None:
    """A whole export, by its checksums, whose writer did not keep the contract."""
    segments = [image_segment(".png", "target", 8, 8)]
    sample = shards.Sample(segments, {".png": shards.png(8, 8)})
    member = dumps(change(segments)).encode()
    folder = shards.write_export(tmp_path / "out", [sample], spoil=lambda held: {SEGMENTS: member})
    (fault,) = verify(str(folder)).faults
    assert told in fault.what and fault.key and fault.offset == 0


def test_an_export_of_an_earlier_format_is_refused_in_words(
    blob_pool: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    pool = blob_pool(4)
    export(pool, "before")
    manifest = tmp_path / "before/dataset.json"
    dataset = json.loads(manifest.read_text()) | {"dataset_version": 3}
    del dataset["digest"]
    manifest.write_text(json.dumps(dataset | {"digest": digest(dataset)}))
    with pytest.raises(ThresherError, match=r"has version 3 .*, this Thresher reads 4"):
        verify(str(tmp_path / "before"))
    identity = {"table": "images", "fingerprint": "f" * 8, "previous": str(tmp_path / "before")}
    with pytest.raises(ThresherError, match=r"has version 3 .*placement: hash"):
        export(pool, "grown", identity=identity, placement="append")
