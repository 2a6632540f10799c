"""Captions of dropped copies: `alt_texts` after either step, after both, and in a pool that grows."""

import shutil

import pyarrow as pa
import pytest
from PIL import Image

from thresher.operators.dedupe.exact import DedupeExact
from thresher.operators.dedupe.near import DedupeNear, NearParams
from thresher.pipelines.runview import open_run
from thresher.schemas.ids import record_id


def chain(head, texts, sizes, earlier=None):
    """Records of one look, better first: `sizes` bytes."""
    n = len(texts)
    columns = {
        "text": pa.array(texts, pa.string()),
        "bytes": pa.array(sizes, pa.int64()),
        "phash": pa.array([5] * n, pa.uint64()),
        "phash256": pa.array([bytes(32)] * n, pa.binary(32)),
        "tiny_rgb": pa.array([bytes(48)] * n, pa.binary(48)),
        "ac_rms": pa.array([20.0] * n, pa.float32()),
    }
    if earlier is not None:
        columns["alt_texts"] = pa.array(earlier, pa.list_(pa.string()))
    return head(n, **columns)


def gathered(answer, table):
    """(kept, alt_texts) of each record, in the table's order."""
    of = dict(zip(answer["id"].to_pylist(), answer.select(["kept", "alt_texts"]).to_pylist(), strict=True))
    return [(of[i]["kept"], of[i]["alt_texts"]) for i in table["id"].to_pylist()]


def test_near_gathers_captions_in_the_survivor_order(head, decide, runner):
    table = chain(head, ["own", "second", None, "own", "", "third"], [9, 8, 7, 6, 5, 4])
    answer, _ = decide(DedupeNear(), table, runner, part_size=2)
    assert gathered(answer, table) == [(True, ["second", "third"])] + [(False, [])] * 5


def test_a_keeper_without_a_caption_gets_that_of_its_copy(head, decide):
    table = chain(head, [None, "said", None], [9, 8, 7])
    assert gathered(decide(DedupeNear(), table)[0], table)[0] == (True, ["said"])


def test_near_goes_on_with_what_exact_gathered(head, decide):
    earlier = [["b", "a"], ["c", "own", "a"], [f"more {i}" for i in range(16)]]
    table = chain(head, ["own", "b", None], [9, 8, 7], earlier)
    kept, texts = gathered(decide(DedupeNear(), table, part_size=1)[0], table)[0]
    assert kept and texts == ["b", "a", "c", *(f"more {i}" for i in range(13))]
    alone = table.slice(1, 1)
    assert gathered(decide(DedupeNear(), alone)[0], alone) == [(True, earlier[1])]


@pytest.mark.parametrize("step", [DedupeExact(), DedupeNear()])
def test_of_equal_files_the_one_with_a_caption_stays(head, decide, step):
    table = chain(head, [None, None, None, "said"], [7] * 4)
    shas = pa.array([bytes(32)] * 4, pa.binary(32))
    table = table.append_column("bytes_sha", shas).append_column("px_sha", shas)
    assert gathered(decide(step, table)[0], table) == [(False, [])] * 3 + [(True, [])]


def test_a_caption_decides_before_bytes_on_request(head, decide):
    table = chain(head, [None, "said"], [9, 8])
    answer, _ = decide(DedupeNear(NearParams(prefer="text")), table)
    assert gathered(answer, table) == [(False, []), (True, [])]


def test_a_grown_pool_has_the_captions_of_a_fresh_one(cli, pool, recipe):
    """The copy that comes later changes nothing of what is live before `dedupe.near`."""
    path = recipe()
    (pool / "rocket-00.txt").write_text("own")
    Image.open(pool / "rocket-00.jpg").save(pool / "small.jpg", quality=40)
    (pool / "small.txt").write_text("a rocket")
    cli("run", path, "--local")
    first = record_id("photos", b"rocket-00.jpg")
    worse = [n for n in map(str, range(20)) if record_id("photos", f"{n}.jpg".encode()) > first][:2]
    for name, caption in zip(worse, ("a rocket at night", "the third"), strict=True):
        shutil.copy2(pool / "rocket-00.jpg", pool / f"{name}.jpg")
        (pool / f"{name}.txt").write_text(caption)
    cli("run", path, "--local")
    cli("run", path, "--local", "--run", "fresh")

    def texts(run):
        table = open_run(run).reader("images")
        rows = pa.concat_tables([table.read(p, ["key", "text", "alt_texts"]) for p in table.parts])
        return {r["key"]: sorted([r["text"], *r["alt_texts"]]) for r in rows.to_pylist() if r["alt_texts"]}

    grown = texts(cli.cwd / "runs" / "photos")
    assert list(grown.values()) == [["a rocket", "a rocket at night", "own", "the third"]]
    assert grown == texts(cli.cwd / "fresh")
