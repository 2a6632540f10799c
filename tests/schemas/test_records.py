"""Ids, uris, sidecars, records and validation."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.schemas.columns import Column
from thresher.schemas.decisions import LEDGER, ordinal, split_ordinal
from thresher.schemas.ids import id_halves, keyed_hash, mix64, record_id, uniform
from thresher.schemas.reasons import DROPPED, FAILED, Reason, check_drop_reason
from thresher.schemas.records import IMAGE, Media, records, validate
from thresher.schemas.sidecar import dumps, row_from_json, row_to_json
from thresher.schemas.uris import quote_path, split_fragment, unquote_path


def row(**changes):
    base = {
        "id": record_id("photos", b"a.jpg"),
        "kind": "image",
        "source": "photos",
        "key": "a.jpg",
        "media": [{"role": "image", "uri": "a.jpg", "offset": None, "length": None, "format": "jpg"}],
        "parents": [],
        "synthetic": False,
        "licence": "CC0-1.0",
        "text": None,
        "meta": None,
    }
    return base | changes


@given(st.binary(max_size=300))
def test_any_file_name_survives_as_a_uri(name: bytes):
    uri = quote_path(name)
    assert unquote_path(uri) == name
    assert "#" not in uri and not any(ord(c) < 32 for c in uri)
    uri.encode()


def test_fragments():
    assert split_fragment("a/b.parquet#row=3&column=image") == ("a/b.parquet", "row=3&column=image")
    assert split_fragment("plain.jpg") == ("plain.jpg", "")


def test_ids_are_of_source_and_key_alone():
    assert record_id("a", b"b") != record_id("ab", b"")
    assert record_id("photos", b"x").hex() == record_id("photos", b"x").hex()
    assert len(record_id("photos", b"x")) == 16


@given(st.integers(0, 2**64 - 1), st.integers(0, 1000))
def test_random_numbers_are_functions_of_the_id(value: int, seed: int):
    one = np.array([value], np.uint64)
    assert uniform(one, "a", seed) == uniform(one, "a", seed)
    assert 0 < uniform(one, "a", seed)[0] < 1
    assert keyed_hash(one, "a", seed)[0] != keyed_hash(one, "b", seed)[0]


def test_mix64_is_a_bijection_on_a_sample_and_uniform_is_flat():
    values = np.arange(1 << 16, dtype=np.uint64)
    assert len(np.unique(mix64(values))) == len(values)
    counts, _ = np.histogram(uniform(mix64(values), "x", 1), bins=16, range=(0, 1))
    assert abs(counts - 4096).max() < 5 * math.sqrt(4096)


def test_id_halves_sort_as_bytes_do():
    ids = [record_id("s", str(i).encode()) for i in range(500)]
    first, second = id_halves(np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 16))
    order = np.lexsort((second, first))
    assert [ids[i] for i in order] == sorted(ids)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.text(), st.binary(max_size=8))
def test_a_sidecar_gives_back_its_record(value: float, text: str, data: bytes):
    schema = pa.schema(
        [("f", pa.float32()), ("t", pa.string()), ("b", pa.binary()), ("l", pa.list_(pa.float32()))]
    )
    text = text.encode("utf-8", "ignore").decode()
    original = {"f": value, "t": text, "b": data, "l": [value, None]}
    restored = row_from_json(row_to_json(original, schema), schema)
    assert (
        pa.Table.from_pylist([restored], schema).equals(pa.Table.from_pylist([original], schema))
        or value == 0.0
    )


def test_sidecars_are_canonical():
    schema = pa.schema([("b", pa.float32()), ("a", pa.float32())])
    assert row_to_json({"b": np.float32(0.7), "a": -0.0}, schema) == '{"a":0.0,"b":0.7}'
    with pytest.raises(ValueError):
        row_to_json({"b": float("nan"), "a": 0.0}, schema)
    assert dumps({"é": 1}) == '{"é":1}'
    with pytest.raises(ValueError, match="field 'a'"):
        row_from_json('{"a": "word"}', schema)


def test_validation_names_record_field_and_rule():
    good = pa.Table.from_pylist([row()], IMAGE)
    assert validate(good, "image") == []
    assert next(records(good)).medium() == Media("image", "a.jpg", None, None, "jpg")
    medium = {"role": "image", "uri": "", "offset": 3, "length": None, "format": "jpg"}
    bad = pa.Table.from_pylist([row(), row(kind="video", media=[medium])], IMAGE)
    found = [(v.field, v.rule) for v in validate(bad, "image")]
    assert ("kind", "is 'video', not 'image'") in found and ("id", "occurs twice") in found
    assert ("media[0]", "needs a role and a uri") in found
    assert ("media[0]", "needs both offset and length, or neither") in found
    assert all(v.record == record_id("photos", b"a.jpg").hex() for v in validate(bad, "image"))
    narrow = good.drop_columns(["licence"])
    assert [(v.field, v.rule) for v in validate(narrow, "image")] == [("licence", "missing from the table")]


def test_reasons_are_documented_once():
    assert set(DROPPED) | set(FAILED) == set(Reason) and not set(DROPPED) & set(FAILED)
    assert check_drop_reason("blurry") is None and check_drop_reason("custom.mine") is None
    assert "'blurry'" in (check_drop_reason("blury") or "")


def test_columns_describe_themselves():
    field = Column("sharpness", pa.float32(), "levels^2", "detail", 0).field()
    assert field.metadata[b"unit"] == b"levels^2" and field.metadata[b"lo"] == b"0"
    assert json.loads(json.dumps([f.name for f in LEDGER]))[:4] == ["id", "version", "source", "key"]


@given(st.integers(0, 2**20), st.integers(0, 2**24 - 1))
def test_ordinals(part: int, offset: int):
    assert split_ordinal(ordinal(part, offset)) == (part, offset)
