"""Rows of JSON and Parquet become documents; a bad row costs itself, and says why and where."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.conftest import IMAGES, asked, lines, picture
from thresher.operators.ingest import dialogue
from thresher.operators.ingest import lines as reading
from thresher.operators.ingest.lines import json_rows
from thresher.operators.views.opener import Opener
from thresher.schemas import FieldError, Media


def items(row):
    return [(i["kind"], i["turn"], i["text"] if i["image"] is None else i["image"]) for i in row["items"]]


def test_shapes_of_public_sets(scanned):
    cafe = asked("<image>\nWhat?", "A cafe\u0301", id="l", image="a/b.jpg", n=1)
    rows = scanned(
        {
            "llava.json": json.dumps([cafe]).encode(),
            "share.jsonl": lines({"id": 7, "conversations": [{"from": "system", "value": "S"},
                                                             {"from": "human", "value": "H"},
                                                             {"from": "gpt", "value": "G"}]}),
            "chat.ndjson": lines({"id": "m", "images": ["1.png", "2.png"], "messages": [
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Or"},
                                             {"type": "image"}]},
                {"role": "assistant", "content": "So"}]}),
            "plain.jsonl": b"\xef\xbb\xbf" + lines(
                {"text": "One\ntwo ", "lang": "en", "p": float("nan")}, b"", {"text": "x"}),
        }
    )  # fmt: skip
    assert items(rows["l"]) == [
        ("image", "user", 0),
        ("text", "user", "What?"),
        ("text", "assistant", "A café"),
    ]
    assert rows["l"]["form"] == "dialogue" and rows["l"]["meta"] == '{"n":1}'
    assert rows["l"]["media"][0]["uri"] == "a/b.jpg" and rows["l"]["media"][0]["format"] == "jpg"
    assert items(rows["7"]) == [("text", "none", "S"), ("text", "user", "H"), ("text", "assistant", "G")]
    assert items(rows["m"])[:3] == [("image", "user", 0), ("text", "user", "Or"), ("image", "user", 1)]
    assert items(rows["0"]) == [("text", "none", "One\ntwo ")] and rows["0"]["form"] == "text"
    assert json.loads(rows["0"]["meta"]) == {"lang": "en", "p": None}
    assert "1" not in rows and rows["2"]["reason"] is None, "blank lines count, and are no rows"


@pytest.mark.parametrize(
    ("row", "reason", "said"),
    [
        ({"text": " \n"}, "empty_file", "'text' is empty"),
        ({"text": None}, "empty_file", "'text' is null"),
        ({"text": 5}, "bad_columns", "is the int 5, not a text"),
        ({"body": "x"}, "bad_columns", "no field conversations or messages"),
        ({"text": "x", "image": "a.jpg"}, "bad_columns", "images beside a plain text"),
        ({"text": "\ud800"}, "corrupt", "half a character"),
        ({"text": "x", "n": "\udc00"}, "bad_value", "cannot be kept"),
        (b'{"text": "x"', "corrupt", "not valid JSON"),
        (b'{"text": "\xff"}', "corrupt", "not UTF-8 at byte 10"),
        (b"[" * 100_000, "corrupt", "not valid JSON"),
        (b"3", "bad_columns", "no object but int"),
        ({"messages": []}, "bad_columns", "an empty list, not a list of turns"),
        ({"messages": ["hi"]}, "bad_columns", "turn 1 has neither `from` and `value`"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "bad_columns", "turn 1 is by 'tool'"),
        ({"messages": [{"role": "user", "content": "x"}]}, "bad_columns", "no turn is an assistant's"),
        (asked("x", ""), "empty_file", "turn 2 says nothing"),
        (
            asked("<image> and <image>", "x", image="a.jpg"),
            "bad_columns",
            "2 places, and the row names 1 image",
        ),
        (asked("<image>", "x"), "bad_columns", "1 places, and the row names 0"),
        (asked("<image>", "x", image={"a": 1}), "bad_columns", "other things than paths"),
        (asked("<image>", "x", image="data:image/png;base64,AA"), "bad_columns", "by its bytes"),
        (asked("<image>", "x", image="../../x.jpg"), "unsafe_member", "outside the source's root"),
        (asked("<image>", "x", image="https://x.org/a.jpg"), "unsafe_member", "outside the source's root"),
    ],
)
def test_a_bad_row_costs_itself(scanned, row, reason, said):
    rows = scanned({"rows.jsonl": lines({"text": "before"}, row, {"text": "after"})})
    assert rows["1"]["reason"] == reason and said in rows["1"]["message"]
    assert rows["1"]["message"].startswith("rows.jsonl row 1: ")
    assert [rows[k]["reason"] for k in ("0", "2")] == [None, None] and len(rows) == 3


def test_images_that_no_words_place_stand_first(scanned):
    rows = scanned({"a.jsonl": lines(asked("What?", "x", image=["a.jpg", "b.jpg"]))})
    assert [i[2] for i in items(rows["0"])] == [0, 1, "What?", "x"]


def test_ids_keys_and_named_fields(scanned):
    row = {"body": "words", "uid": "é", "text": "not this"}
    rows = scanned({"a.jsonl": lines(row, row, {"body": "x"})}, text="body", key="uid")
    assert [r["key"] for r in rows.values()] == ["a.jsonl#é", "a.jsonl#é~2", "a.jsonl#2"]
    assert rows["é"]["items"][0]["text"] == "words" and "not this" in rows["é"]["meta"]
    missing = scanned({"a.jsonl": lines({"text": "x"})}, text="body")
    assert (
        missing["0"]["reason"] == "bad_columns"
        and "no field body: its fields are text" in missing["0"]["message"]
    )


TEXTS = lines(*({"text": f"text {i * i * i} " * 30} for i in range(5000)))


@pytest.mark.parametrize("packed", [gzip.compress(TEXTS), pa.compress(TEXTS, "zstd", asbytes=True)])
def test_packed_files(scanned, packed):
    whole = scanned({"a.jsonl.zst": packed})
    assert len(whole) == 5000 and not any(row["reason"] for row in whole.values())
    cut = scanned({"a.jsonl.zst": packed[: len(packed) // 2]})
    *good, last = cut.values()
    assert last["reason"] == "truncated_container" and f"row {len(good)}: what follows" in last["message"]
    assert not any(row["reason"] for row in good) and len(good) > 100


def test_a_broken_array_costs_what_follows(scanned):
    rows = scanned({"b.json": b'[{"text": "x"}, {"text": }, {"text": "y"}]'})
    assert [row["reason"] for row in rows.values()] == [None, "corrupt"]
    assert "row 1: the array is broken" in rows["1"]["message"]


def test_a_huge_row_is_never_held(monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROW", 1000)
    monkeypatch.setattr(reading, "CHUNK", 64)
    huge = {"text": "x" * 5000}
    found = dict(json_rows(io.BytesIO(lines({"text": "a"}, huge, {"text": "b"}))))
    assert str(found[1].reason) == "too_many_bytes" and found[2] == {"text": "b"}
    found = dict(json_rows(io.BytesIO(json.dumps([{"text": "a"}, huge, {"text": "b"}]).encode())))
    assert str(found[1].reason) == "too_many_bytes" and len(found) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=12)


@given(ROWS, st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_an_array_and_lines_hold_the_same_rows(rows, chunk, indent, ascii_only):
    """Wherever the buffer ends."""
    before, reading.CHUNK = reading.CHUNK, chunk
    try:
        array = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode(errors="replace")
        assert [row for _, row in json_rows(io.BytesIO(array))] == json.loads(array)
        told = [json.dumps(row, ensure_ascii=ascii_only).encode(errors="replace") for row in rows]
        assert [row for _, row in json_rows(io.BytesIO(lines(*told)))] == [json.loads(row) for row in told]
    finally:
        reading.CHUNK = before


def test_images_inside_parquet(scanned, tmp_path):
    images = [[{"bytes": picture(1), "path": None}, {"bytes": picture(2), "path": "p.jpg"}], None, []]
    said = [asked("<image><image>", "a"), asked("b", "c"), asked("d", "e")]
    table = {"conversations": [s["conversations"] for s in said], "images": pa.array(images, IMAGES)}
    one = {"conversations": [asked("<image>", "a")["conversations"]], "image": [picture(3)], "when": [1.5]}
    files = {}
    for name, columns in (("two.parquet", table), ("one.parquet", one)):
        pq.write_table(pa.table(columns), tmp_path / name)
        files[name] = (tmp_path / name).read_bytes()
    rows = scanned(files)
    opener = Opener({"data": str(tmp_path / "data")})
    held = [m for r in rows.values() if r["key"] == "two.parquet#0" for m in r["media"]]
    assert [opener.read("data", Media(**m)) for m in held] == [picture(1), picture(2)]
    assert rows["1"]["media"] == [] and rows["1"]["reason"] is None and rows["2"]["reason"] is None


def test_a_torn_parquet_file_is_one_failed_row(scanned, tmp_path):
    pq.write_table(pa.table({"text": ["x" * 50] * 100}), tmp_path / "t.parquet")
    rows = scanned(
        {"t.parquet": (tmp_path / "t.parquet").read_bytes()[:300], "a.jsonl": lines({"text": "x"})}
    )
    failed = [r for r in rows.values() if r["reason"]]
    assert [r["reason"] for r in failed] == ["corrupt"] and "Parquet" in failed[0]["message"]


def test_files_and_images_of_two_folders(scanned, tmp_path):
    (tmp_path / "pictures").mkdir()
    rows = scanned({"a.jsonl": lines(asked("<image>", "x", image="b.jpg", id="k"))}, images="pictures")
    assert rows["k"]["key"] == "data/a.jsonl#k" and rows["k"]["media"][0]["uri"] == "pictures/b.jpg"
    with pytest.raises(FieldError, match="there is no folder") as found:
        scanned({}, images="picture")
    assert "pictures" in found.value.mend and found.value.path == ("documents", "images")


def test_speakers_are_the_words_of_public_sets():
    assert {"human", "gpt", "system", "user", "assistant"} <= {*dialogue.SPEAKERS}
