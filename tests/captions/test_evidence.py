"""What columns come to as facts."""

import json
from dataclasses import replace

import pytest

from thresher.operators.captions.draw.candidates import raw
from thresher.operators.captions.facts.evidence import READABLE, evidence
from thresher.operators.captions.facts.file_names import by_people
from thresher.operators.quality import Quality
from thresher.operators.registry import get
from thresher.schemas import Record
from thresher.schemas.records import IMAGE

RECORD = Record(bytes(16), "pool", "paris/IMG_2041_eiffelTower.jpg", ())


def thing(label: str, score: float | None, box: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2)) -> dict:
    return {"label": label, "score": score, "box": list(box), "mask": None}


def test_every_readable_column_is_written_by_an_operator():
    writers = [Quality(), *(get(n)() for n in ("palette", "ocr", "faces", "watermark", "aigc", "ground"))]
    written = {column.name for writer in writers for column in writer.writes()} | set(IMAGE.names)
    assert set(READABLE) <= written


def test_lines_have_a_height_and_keep_their_confidence():
    line = {"text": "OPEN", "lang": None, "script": "Latn", "box": [0.1, 0.2, 0.5, 0.3], "conf": 0.6}
    facts = evidence(RECORD, {"ocr": [line], "width": 800, "height": 400})
    (read,) = facts.ocr
    assert (read.id, read.conf, read.height) == ("o1", 0.6, 0.1)
    assert evidence(RECORD, {"ocr": [line]}).ocr[0].height is None
    assert facts.ocr_read and evidence(RECORD, {"ocr": []}).ocr_read and not evidence(RECORD, {}).ocr_read
    assert {f.column: f.value for f in facts.measured} == {"width": 800, "height": 400, "ocr": 1}


def test_things_that_are_unsure_or_twice_there_do_not_count():
    found = [
        thing("Cup", 0.95), thing("cup", 0.9, (0.11, 0.1, 0.21, 0.2)),
        thing("cup", 0.92, (0.6, 0.6, 0.7, 0.7)),
        thing("dog", 0.4), thing("centre", None), thing("opaque", None),
    ]  # fmt: skip
    (cups,) = evidence(RECORD, {"objects": found}).objects
    assert (cups.id, cups.label, cups.count, cups.p) == ("b1", "cup", 2, 0.92)


def test_texts_that_came_with_the_picture():
    sidecar = {"title": "The tower", "tags": ["paris", "steel"], "alt": " A  tower ", "width": 3, "extra": {}}
    record = replace(RECORD, text="A tower", meta=json.dumps(sidecar))
    held = [(m.id, m.kind, m.text) for m in evidence(record, {}).meta]
    assert held == [
        ("m1", "alt_text", "A tower"),
        ("m2", "title", "The tower"),
        ("m3", "tags", "paris, steel"),
        ("m4", "file_name", "paris eiffel tower"),
    ]
    assert evidence(replace(record, meta="[1"), {}).meta[-1].kind == "file_name", "broken JSON says nothing"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IMG_0042.JPG", None), ("DSC01234", None), ("eiffel-tower.webp", None), ("P1010203", None),
        ("d41d8cd98f00b204e9800998ecf8427e", None), ("https://example.com/cats/chelsea.jpg", "url"),
        ("istockphoto-1234567", None), ("image1", None), ("Screenshot 2024-05-01 at 10.30.12", None),
        ("微信图片_20240501", None), ("boat_final_v2 (1).png", None), ("Screenshot of a chat", "alt_text"),
        ("A380", "alt_text"), ("the file IMG_0042.JPG", "alt_text"), ("一只猫", "alt_text"),
    ],
)  # fmt: skip
def test_the_name_of_a_file_is_no_caption(text: str, kind: str | None):
    held = evidence(replace(RECORD, text=text, key="0001.jpg"), {}).meta
    assert [(m.kind, m.text) for m in held] == ([(kind, text)] if kind else [])
    assert by_people(text) == (kind == "alt_text") == bool(raw("text", text))


def test_names_that_are_no_words_say_nothing():
    for key in (
        "IMG_0001.jpg",
        "DSC0042.JPG",
        "shards/part-000001.tar//00012345",
        "a.parquet#row=7",
        "a3f9c1b2.png",
    ):
        assert evidence(replace(RECORD, key=key), {}).meta == (), key
    assert evidence(replace(RECORD, key="西湖/雷峰塔-2.jpg"), {}).meta[0].text == "西湖 雷峰塔"


def test_marks_of_the_file():
    camera = evidence(
        RECORD, {"camera_exif": True, "watermark_p": 0.85, "is_gray": None, "luma_mean": 12.3456}
    )
    assert camera.image_type == "photo" and camera.watermarks == ("watermark",)
    assert {f.column: f.value for f in camera.measured}["luma_mean"] == 12.35
    assert evidence(RECORD, {"camera_exif": True, "aigc_tier": "A"}).image_type is None
    assert evidence(RECORD, {"watermark_p": 0.7}).watermarks == ()
    assert evidence(RECORD, {"digital_source_type": "screenCapture"}).image_type == "screenshot"
