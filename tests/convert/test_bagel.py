"""BAGEL's files, read step by step as its readers do (ByteDance-Seed/Bagel, folder `data`)."""

import io
import json
import os
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.convert import samples
from tests.convert.samples import SIDE, picture
from thresher.pipelines.convert import convert


@pytest.fixture(scope="module")
def bagel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bagel")
    many = [samples.caption(f"c{n}") for n in range(11)] + [samples.edit(f"e{n}", 100 + n) for n in range(9)]
    made = convert(samples.export(folder / "export", samples.every_kind() + many), "bagel", folder / "out", 4)
    return made, json.loads((folder / "out" / "dataset_info.json").read_text())


def paths(info):
    """`get_parquet_data_paths`: every Parquet file that the folder lists, `num_files` of them."""
    found = [os.path.join(info["data_dir"], name) for name in os.listdir(info["data_dir"])]
    return sorted([path for path in found if path.endswith(".parquet")][: info["num_files"]])


def rows(path, group):
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group).to_pylist()


@pytest.mark.acceptance("T34")
def test_the_reader_of_captioned_images_gets_every_image_and_caption(bagel):
    made, info = bagel
    about = info["t2i_pretrain"]["thresher"]
    found = []
    for path in paths(about):
        for group in range(pq.ParquetFile(path).num_row_groups):
            for row in rows(path, group):
                assert Image.open(io.BytesIO(row["image"])).size == (SIDE, SIDE)
                found.append((row["image"], json.loads(row["captions"])))
    # One of the four texts stands there twice; the reader draws from all alike.
    texts = {"text": "a red square", "en.long": "a red square, café behind", "zh": "红色方块"}
    assert found == [(picture(1), texts)] * 12
    assert len(found) == about["num_total_samples"] == made.parts["t2i"]
    assert len(paths(about)) == 4 and not made.notes


@pytest.mark.acceptance("T34")
def test_the_reader_of_edits_finds_all_row_groups_and_any_window_of_them(bagel):
    made, info = bagel
    about = info["unified_edit"]["thresher"]
    listed = json.loads(Path(about["parquet_info_path"]).read_text())
    groups = [(p, n) for p in paths(about) if p in listed for n in range(listed[p]["num_row_groups"])]
    assert len(groups) >= 4 and sorted(listed) == paths(about)
    found = [row for path, group in groups for row in rows(path, group)]
    assert len(found) == about["num_total_samples"] == made.parts["edit"] == 11
    draw = random.Random(0)
    for row in found:
        images = row["image_list"]
        assert len(row["instruction_list"]) == len(images) - 1
        for _ in range(20):
            start = draw.choice(range(len(images) - 1))
            end = draw.choice(range(start + 1, min(start + 3, len(images))))
            for step in range(start + 1, end + 1):
                assert draw.choice(row["instruction_list"][step - 1])
                Image.open(io.BytesIO(images[step])).load()
    chained = next(row for row in found if len(row["image_list"]) == 4)
    assert list(chained["image_list"]) == [picture(20 + n) for n in range(4)]
    assert [list(said) for said in chained["instruction_list"]] == [["step 0"], ["step 1"], ["step 2"]]
    pairs = [row for row in found if len(row["image_list"]) == 2]
    assert all(list(r["instruction_list"][0]) == ["make it blue", "please make it blue"] for r in pairs)


def elements(line, images):
    """`change_format`: what is read, and what is learnt, in order."""
    found = []
    for turn in line["conversations"]:
        if turn["from"] == "gpt":
            found.append(("learnt", turn["value"]))
            continue
        pieces = turn["value"].split("<image>")
        for number, text in enumerate(pieces):
            found += [("read", text.strip())] if text.strip() else []
            found += [("image", None)] if number < len(pieces) - 1 and number < images else []
    return found


@pytest.mark.acceptance("T34")
def test_the_reader_of_conversations_gets_every_image_turn_and_learnt_word(bagel):
    made, info = bagel
    about = info["vlm_sft"]["thresher"]
    found = {}
    for line in map(json.loads, Path(about["jsonl_path"]).read_text().splitlines()):
        names = line.get("image", [])
        files = [Path(about["data_dir"], name).read_bytes() for name in names]
        found[line["id"]] = (files, elements(line, len(files)))
        assert any(kind == "learnt" for kind, _ in found[line["id"]][1])
    turns = [[("read", f"question {n}?"), ("learnt", f"answer {n}.")] for n in range(2)]
    expected = [
        ([picture(60)], [("image", None), *turns[0], *turns[1]]),
        ([picture(70)], [("image", None), *turns[0]]),
        ([], [("learnt", "Only words.")]),
    ]
    assert sorted(found.values(), key=str) == sorted(expected, key=str)
    assert len(found) == about["num_total_samples"] == made.parts["vlm"]


def test_kinds_without_a_place_are_told_by_name_and_number(bagel):
    made, _ = bagel
    said = "\n".join(made.left)
    for what in (
        "interleaved documents",
        "images made after reasoning",
        "images made from several references",
    ):
        assert f"1 of 29 records ({what}): bagel has no place for them" in said
    assert sum(made.parts.values()) + len(made.left) == made.records == 29


def test_too_few_records_for_the_training_are_told(tmp_path):
    made = convert(samples.export(tmp_path / "export", [samples.edit()]), "bagel", tmp_path / "out", 8)
    assert made.notes == [
        "edit: 1 records make 1 files, not 8; in a training with more ranks x workers than files, "
        "those without one wait for ever"
    ]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 5))
def test_rows_are_shared_evenly_by_files_of_equally_many_groups(tmp_path_factory, count, files, groups):
    import pyarrow as pa

    from thresher.pipelines.convert.tables import GROUP_BYTES, Table

    folder = tmp_path_factory.mktemp("table")
    table = Table(folder, pa.schema([("n", pa.int64())]), count, groups * files * GROUP_BYTES, files)
    for n in range(count):
        table.add({"n": n})
    table.close()
    made = [pq.ParquetFile(folder / name) for name in table.row_groups]
    sizes = [file.metadata.row_group(g).num_rows for file in made for g in range(file.num_row_groups)]
    assert [n for file in made for n in file.read()["n"].to_pylist()] == list(range(count))
    assert len(made) == min(files, count) and len(set(table.row_groups.values())) == 1
    assert [f.num_row_groups for f in made] == list(table.row_groups.values())
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) >= min(groups * len(made), count // len(made) * len(made))
