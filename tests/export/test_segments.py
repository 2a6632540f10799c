"""Reasoning samples leave as segments and come back from the tar as they were."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from thresher.operators.captions.reason.sample import Sample, SampleClaim, SampleStep
from thresher.operators.export.verify import verify
from thresher.schemas import Column

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
    samples = [_sample("T2T"), _sample("T2TI", "zh"), _sample("rewrite"), failed, None, _sample("T2TI")]
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
        if sample is None or sample.status == "fail":
            assert f"{key}.segments.json" not in members and about["task"] == "image"
            continue
        assert Sample.loads(json.loads(read[key]["json"])["reasoning"]) == sample
        parts = json.loads(read[key]["segments.json"])
        texts = [part["ref"] for part in parts if part["kind"] == "text"]
        thought = [] if sample.kind == "rewrite" else [sample.trace]
        assert texts == [sample.prompt, *thought, sample.refined]
        assert [part["loss"] for part in parts] == [False, *[True] * (len(parts) - 1)]
        assert [part["role"] for part in parts] == ["cond", *["target"] * (len(parts) - 1)]
        assert parts[0]["drop"] == "text" and parts[0]["turn"] == "user"
        assert about["kinds"] == {"T2T": "cxx", "T2TI": "cxxT", "rewrite": "cx"}[sample.kind]
        assert about["task"] == sample.kind.lower()
        assert dict(about["text_chars"])["refined"] == len(sample.refined)
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
