"""Energon, LLaVA, Hugging Face and Emu3.5, read as their readers do, without them."""

import json
import sqlite3
import struct
import tarfile

import pyarrow.parquet as pq
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, unknown_fields

from tests.convert import samples
from tests.convert.samples import SIDE, picture
from thresher.pipelines.convert import LAYOUTS, convert


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layouts")
    export = samples.export(folder / "export")
    return {to: convert(export, to, folder / to) for to in LAYOUTS}


@pytest.mark.acceptance("T34")
def test_energon_finds_each_record_by_its_tables(made):
    found = {}
    for folder in made["energon"].folder.iterdir():
        if not folder.is_dir():
            continue
        meta = folder / ".nv-meta"
        shards = json.loads((meta / "split.yaml").read_text())["split_parts"]["train"]
        counts = json.loads((meta / ".info.json").read_text())["shard_counts"]
        assert list(counts) == shards and (meta / "index.uuid").read_text()
        base = sqlite3.connect(meta / "index.sqlite")
        for number, shard in enumerate(shards):
            data = (folder / shard).read_bytes()
            offsets = struct.unpack(f"<{counts[shard] + 1}Q", (folder / f"{shard}.idx").read_bytes())
            with tarfile.open(folder / shard) as tar:
                held = {m.name: (m.offset_data, m.size) for m in tar}
                assert tar.offset == offsets[-1]
            asked = (
                "SELECT sample_key, sample_index, byte_offset, byte_size FROM samples WHERE tar_file_id = ?"
            )
            for key, ordinal, offset, size in base.execute(asked, (number,)).fetchall():
                assert (offset, offset + size) == offsets[ordinal : ordinal + 2]
                parts = base.execute(
                    "SELECT part_name, content_byte_offset, content_byte_size FROM sample_parts "
                    "WHERE tar_file_id = ? AND sample_index = ?",
                    (number, ordinal),
                ).fetchall()
                assert {f"{key}.{name}": (at, length) for name, at, length in parts} == {
                    name: place for name, place in held.items() if name.startswith(key)
                }
                found.setdefault(folder.name, []).append(
                    {name: data[at : at + length] for name, at, length in parts}
                )
    assert {name: len(records) for name, records in found.items()} == made["energon"].parts
    assert made["energon"].parts == {"captioning": 1, "interleaved": 6, "text": 1, "vqa": 1}
    assert not made["energon"].left
    one = found["captioning"][0]
    assert (one["png"], json.loads(one["segments.json"])[0]["ref"]) == (picture(1), "a red square")


@pytest.mark.acceptance("T34")
def test_llava_gets_images_and_alternating_turns(made):
    folder = made["llava"].folder
    lines = [json.loads(line) for line in (folder / "conversations.jsonl").open()]
    assert f'json_path: "{folder}/conversations.jsonl"' in (folder / "dataset.yaml").read_text()
    for line in lines:
        assert [turn["from"] for turn in line["conversations"]] == ["human", "gpt"] * (
            len(line["conversations"]) // 2
        )
        asked, answers = line["conversations"][::2], line["conversations"][1::2]
        assert sum(turn["value"].count("<image>") for turn in asked) == 1
        assert not any("<image>" in turn["value"] for turn in answers)
    images = {(folder / "images" / line["image"]).read_bytes() for line in lines}
    assert images == {picture(1), picture(60), picture(70)} and len(lines) == 3
    words = {line["conversations"][-1]["value"] for line in lines}
    assert words == {"a red square", "answer 1.", "answer 0."}
    assert len(made["llava"].left) == 6


@pytest.mark.acceptance("T34")
def test_hugging_face_knows_the_images_by_the_schema(made):
    folder = made["hf"].folder
    caption, sequence = (pq.read_table(folder / name) for name in ("caption", "sequence"))
    described = json.loads(caption.schema.metadata[b"huggingface"])["info"]["features"]
    assert described["image"] == {"_type": "Image"} and list(described) == caption.column_names
    row = caption.to_pylist()[0]
    assert row["image"] == {"bytes": picture(1), "path": f"{row['id']}.png"}
    assert (row["text"], len(row["captions"])) == ("a red square", 4)
    kinds = {row["kind"]: row for row in sequence.to_pylist()}
    assert [i["bytes"] for i in kinds["chain"]["images"]] == [picture(20 + n) for n in range(4)]
    assert [s["text"] for s in kinds["interleaved"]["segments"]] == ["First.", None, "Then.", None]
    assert [s["image"] for s in kinds["interleaved"]["segments"]] == [None, 0, None, 1]
    assert made["hf"].parts == {"caption": 1, "sequence": 8} and not made["hf"].left


_REPEATED = {"clips", "reference_images", "segments", "images"}
_FIELDS = {
    "TimeStamp": {"start": (1, "double"), "end": (2, "double")},
    "Image": {
        "width": (1, "int32"),
        "height": (2, "int32"),
        "format": (3, "int32"),
        "image_data": (4, "bytes"),
    },
    "ImageMeta": {"timestamp": (2, "TimeStamp"), "chain_of_thought": (7, "string"), "image": (11, "Image")},
    "Segment": {"timestamp": (1, "TimeStamp"), "asr": (2, "string"), "images": (101, "ImageMeta")},
    "Clip": {"clip_id": (1, "string"), "timestamp": (2, "TimeStamp"), "segments": (101, "Segment")},
    "Story": {
        "story_id": (1, "string"),
        "clips": (2, "Clip"),
        "question": (12, "string"),
        "reference_images": (17, "ImageMeta"),
    },
}
"""Fields of `emu3p5.story` that are used, with number and type (baaivision/Emu3.5, `src/proto/emu_pb.py`)."""


@pytest.fixture(scope="module")
def stories(made):
    file = descriptor_pb2.FileDescriptorProto(name="story.proto", package="emu3p5.story", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            one = message.field.add(name=field, number=number, label=3 if field in _REPEATED else 1)
            if kind in _FIELDS:
                one.type, one.type_name = one.TYPE_MESSAGE, f".emu3p5.story.{kind}"
            else:
                one.type = getattr(one, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    story = message_factory.GetMessageClass(pool.FindMessageTypeByName("emu3p5.story.Story"))
    read = [story.FromString(path.read_bytes()) for path in made["emu"].folder.rglob("*.pb")]
    return {one.question or one.clips[0].segments[0].asr: one for one in read}


@pytest.mark.acceptance("T34")
def test_emu_reads_each_sequence(made, stories):
    assert len(stories) + len(made["emu"].left) == 9 and made["emu"].parts == {"proto": 7}
    told = stories["First."]
    assert [clip.segments[0].asr for clip in told.clips] == ["First.", "Then."]
    assert [clip.timestamp.start for clip in told.clips] == [0.5, 2.0]
    images = [image.image for clip in told.clips for image in clip.segments[0].images]
    assert [i.image_data for i in images] == [picture(40), picture(41)]
    assert [(i.width, i.height, i.format) for i in images] == [(SIDE, SIDE, 2)] * 2
    edited = stories["make it blue"]
    assert [i.image.image_data for i in edited.reference_images] == [picture(10)]
    assert edited.clips[0].segments[0].images[0].image.image_data == picture(11)
    thought = stories["a quiet morning"].clips[0].segments[0].images[0]
    assert (thought.chain_of_thought, thought.image.image_data) == ("Fog, and low sun.", picture(50))
    assert stories["question 0?"].clips[0].segments[0].asr == "answer 0."
    assert len(stories["the dog of image 1 in the garden of image 2"].reference_images) == 2
    assert all(len(unknown_fields.UnknownFieldSet(one)) == 0 for one in stories.values())
