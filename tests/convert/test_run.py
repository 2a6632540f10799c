"""The folder that a conversion makes, and what it refuses."""

import signal
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.convert import samples
from tests.trainer.shards import plain, png
from thresher.pipelines.convert import LAYOUTS, convert
from thresher.schemas.errors import ThresherError, UsageError
from thresher.schemas.segments import text_segment


@pytest.mark.parametrize("to", LAYOUTS)
def test_the_same_export_gives_the_same_bytes(tmp_path, tree_digest, to):
    export = samples.export(tmp_path / "export")
    digests = set()
    for _ in range(2):
        made = convert(export, to, tmp_path / "out")
        digests.add(tree_digest(made.folder))
        made.folder.rename(tmp_path / f"out-{len(list(tmp_path.iterdir()))}")
    assert len(digests) == 1


def test_a_finished_conversion_is_left_as_it_is_and_another_folder_is_refused(tmp_path):
    export = samples.export(tmp_path / "export")
    first = convert(export, "bagel", tmp_path / "out", 4)
    times = {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")}
    again = convert(export, "bagel", tmp_path / "out", 4)
    assert again.again and not first.again
    assert (again.parts, again.left, again.notes) == (first.parts, first.left, first.notes)
    assert times == {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")}
    with pytest.raises(UsageError, match=r"a conversion with another row_groups.*another with -o"):
        convert(export, "bagel", tmp_path / "out", 8)
    with pytest.raises(UsageError, match="a conversion with another to, another row_groups"):
        convert(export, "hf", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="this folder holds something else"):
        convert(export, "hf", tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_killed_conversion_leaves_no_folder_and_the_next_one_is_whole(tmp_path, cli, tree_digest):
    many = [plain(f"picture {n}", png(64, 64, seed=n), name=str(n)) for n in range(3000)]
    export = samples.export(tmp_path / "export", many, per_shard=500)
    command = ("convert", export, "--to", "llava", "-o", tmp_path / "out")
    running = cli.popen(*command)
    while not list(tmp_path.glob(".out.tmp/images/*/*")):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert not (tmp_path / "out").exists()
    assert "conversations: 3,000 records" in cli(*command)
    whole = convert(export, "llava", tmp_path / "other").folder
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 3000
    assert tree_digest(whole / "images") == tree_digest(tmp_path / "out" / "images")
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_damaged_record_costs_one_record_and_is_named(tmp_path):
    export = samples.export(tmp_path / "export", [samples.caption(str(n)) for n in range(6)])
    row = pq.read_table(next((export / "index.parquet").glob("*.parquet"))).to_pylist()[1]
    with open(export / row["shard"], "r+b") as file:
        file.seek(row["member_offsets"][row["members"].index(".png")])
        file.write(b"\xff\xff")
    made = convert(export, "hf", tmp_path / "out")
    assert made.parts == {"caption": 5}
    assert made.left == [f"1 of 6 records (damaged): their bytes differ from their CRC-32 ({row['key']})"]


def test_records_that_are_held_out_stay_out(tmp_path):
    export = samples.export(tmp_path / "export", [samples.caption(str(n)) for n in range(6)], per_shard=6)
    index = next((export / "index.parquet").glob("*.parquet"))
    table = pq.read_table(index)
    names = pa.array(["train", "val", "train", "train", "val", "train"])
    at = table.schema.get_field_index("split")
    table = table.append_column("split", names) if at < 0 else table.set_column(at, "split", names)
    pq.write_table(table, index)
    made = convert(export, "llava", tmp_path / "out")
    assert made.parts == {"conversations": 4}
    assert made.left[0].startswith("2 of 6 records (held out): of the split val (")
    assert convert(export, "llava", tmp_path / "val", split="val").parts == {"conversations": 2}


def test_a_text_that_readers_would_take_for_an_image_has_no_place(tmp_path):
    tricky = samples.dialogue(1)
    tricky.segments[1] = text_segment("What does <image> mean in HTML?", "cond", turn="user")
    export = samples.export(tmp_path / "export", [tricky, samples.dialogue(1, "other")])
    for to, part in (("llava", "conversations"), ("bagel", "vlm")):
        made = convert(export, to, tmp_path / to)
        assert made.parts == {part: 1}
        assert "the reader would take the word <image> in the text for an image" in made.left[0]


def test_an_answer_that_is_not_learnt_has_no_place(tmp_path):
    given = samples.dialogue(2)
    given.segments[2] = text_segment("answer 0.", "cond", turn="assistant")
    made = convert(
        samples.export(tmp_path / "e", [given, samples.dialogue(1, "other")]), "llava", tmp_path / "o"
    )
    assert made.parts == {"conversations": 1} and "unlearnt answer" in made.left[0]


def test_images_that_energon_does_not_decode_are_told(tmp_path):
    sample = samples.caption()
    sample.segments[1]["ref"] = ".avif"
    sample.members[".avif"] = sample.members.pop(".png")
    made = convert(samples.export(tmp_path / "export", [sample, samples.edit()]), "energon", tmp_path / "out")
    assert len(made.notes) == 1
    assert made.notes[0].startswith("captioning: 1 images are avif, which Energon hands on as bytes")


def test_an_image_without_a_caption_keeps_its_place(tmp_path):
    sample = samples.caption()
    del sample.segments[0], sample.members[".txt"]
    export = samples.export(tmp_path / "export", [sample])
    assert convert(export, "bagel", tmp_path / "bagel").parts == {"t2i": 1}
    assert pq.read_table(tmp_path / "bagel" / "t2i")["captions"].to_pylist() == ["{}"]
    assert convert(export, "hf", tmp_path / "hf").parts == {"caption": 1}
    row = pq.read_table(tmp_path / "hf" / "caption").to_pylist()[0]
    assert (row["text"], row["captions"]) == (None, [])
    for to, part in (("energon", "interleaved"), ("emu", "proto")):
        assert convert(export, to, tmp_path / to).parts == {part: 1}


def test_nothing_that_fits_and_no_export_are_told_in_words(tmp_path):
    export = samples.export(tmp_path / "export", [samples.edit()])
    with pytest.raises(ThresherError, match=r"nothing of this export fits.*\(edits\): llava has no place"):
        convert(export, "llava", tmp_path / "out")
    with pytest.raises(ThresherError, match="there is no finished export"):
        convert(tmp_path, "llava", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["export"]


def test_the_command_tells_what_became_of_the_records(tmp_path, cli):
    samples.export(tmp_path / "export")
    said = cli("convert", "export", "--to", "bagel", "-o", "out", "--row-groups", "1")
    assert "edit: 2 records\nt2i: 1 record\nvlm: 3 records\n" in said
    assert "left out: 1 of 9 records (interleaved documents): bagel has no place for them" in said
    assert "was converted before" in cli(
        "convert", "export", "--to", "bagel", "-o", "out", "--row-groups", "1"
    )
    cli("convert", "export", "--to", "bagle", "-o", "out", code=2)
    assert "Did you mean 'bagel'?" in cli.err
