"""Sources: what is chosen of an export, counted once, held out by groups, refused in words."""

import json
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.shards import Sample, plain, png, words, write_export
from thresher.loader.index import find, open_source
from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.pattern import Realising
from thresher.loader.plan.plan import Plan, Stage
from thresher.loader.tokens import Bytes, count, open_tokenizer
from thresher.schemas import ThresherError, UsageError
from thresher.schemas.segments import text_segment


def pool(count, **more):
    """Texts with a score `n`, their number."""
    return [words(f"text {i}", name=f"s{i}", scores={"n": float(i)}, **more) for i in range(count)]


def ids(source):
    return [source.id(i) for i in range(len(source.pattern))]


def edited(folder, change):
    """The export with other index rows, its manifest made to agree."""
    dataset = json.loads((folder / "dataset.json").read_text())
    for file in (folder / "index.parquet").iterdir():
        table = pq.read_table(file)
        pq.write_table(pa.Table.from_pylist([change(r) for r in table.to_pylist()], table.schema), file)
        dataset["files"][f"index.parquet/{file.name}"]["sha256"] = sha256(file.read_bytes()).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(dataset))


@given(st.text())
def test_nothing_of_a_text_is_lost(text):
    for tokenizer in (Bytes(), WORDS):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert all(3 <= token < tokenizer.vocabulary for token in tokenizer.encode(text))


@pytest.fixture(scope="module", autouse=True)
def _words(tmp_path_factory):
    global WORDS
    file = tmp_path_factory.mktemp("words") / "words.txt"
    file.write_text("a\nred\nsquare\n0\n")
    WORDS = open_tokenizer(f"words:{file}")


def test_known_words_are_one_token_each():
    assert len(WORDS.encode("a red square")) == 3
    assert len(WORDS.encode("a red cube")) == 2 + len(" cube")


@pytest.mark.parametrize("spec", ["byte", "words:nowhere.txt", "nowhere.json"])
def test_an_unknown_tokenizer_is_refused_in_words(spec):
    with pytest.raises(UsageError, match=r"cannot be opened.*Say `bytes`"):
        open_tokenizer(spec)


@pytest.mark.parametrize(
    "where, chosen",
    [
        ("n > 3 and n <= 6", {4, 5, 6}),
        ("source == 'fixture' and not (n != 2)", {2}),
        ("1 <= n < 3 or n == -1", {1, 2}),
        ("task == 'text' and n_images == 0 and n >= 8.5", {9}),
    ],
)
def test_where_chooses_by_columns_and_scores(tmp_path, where, chosen):
    folder = write_export(tmp_path / "e", pool(10), per_shard=4)
    source = open_source("s", folder, Bytes(), where=where)
    every = open_source("s", folder, Bytes())
    assert {ids(every)[i] for i in range(10)} > set(ids(source)) and len(ids(source)) == len(chosen)
    assert source.fingerprint != every.fingerprint


@pytest.mark.parametrize(
    "where, told",
    [
        ("sorce == 'x'", r"sorce.*Did you mean 'source'"),
        ("n > ", "no predicate"),
        ("__import__('os')", "not allowed"),
        ("n + 1 > 2", "not allowed"),
        ("source", "no predicate"),
        ("source > 3", "no predicate"),
    ],
)
def test_a_wrong_predicate_is_refused_in_words(tmp_path, where, told):
    folder = write_export(tmp_path / "e", pool(3))
    with pytest.raises(UsageError, match=told):
        open_source("s", folder, Bytes(), where=where)


def test_what_is_missing_stale_unknown_or_empty_is_told(tmp_path):
    with pytest.raises(ThresherError, match=r"no dataset.json.*Name the folder"):
        open_source("s", tmp_path / "nowhere", Bytes())
    folder = write_export(tmp_path / "e", pool(3))
    with pytest.raises(ThresherError, match=r"'s' is empty: no sample of the split 'train' has n > 7"):
        open_source("s", folder, Bytes(), where="n > 7")
    index = next((folder / "index.parquet").iterdir())
    index.write_bytes(index.read_bytes() + b" ")
    with pytest.raises(ThresherError, match=r"stale.*verify"):
        open_source("s", folder, Bytes(), where="n > 1")
    index.unlink()
    with pytest.raises(ThresherError, match="is missing"):
        open_source("s", folder, Bytes(), where="n > 1")
    sound = Sample([text_segment("a", "target")])
    sound.segments[0] |= {"kind": "sound"}
    bad = write_export(tmp_path / "bad", [sound])
    with pytest.raises(ThresherError, match=r"all-00000-of-00001.tar .*segments.json: .*'sound'"):
        open_source("s", bad, Bytes())


def test_a_weight_says_how_often_a_sample_stands_in_an_epoch(tmp_path):
    weights = {0: 0.0, 1: 1.0, 2: 3.0, **dict.fromkeys(range(3, 203), 2.25)}
    folder = write_export(tmp_path / "e", [words(f"{i}", name=f"s{i}", weight=w) for i, w in weights.items()])
    source = open_source("s", folder, Bytes())
    _, counts = np.unique(ids(source), return_counts=True)
    assert {1, 2, 3} == set(counts) and 1 + 3 + 2.15 * 200 < sum(counts) < 1 + 3 + 2.35 * 200
    assert ids(open_source("s", folder, WORDS)) == ids(source)


@pytest.mark.acceptance("T25")
def test_other_scores_touch_no_tar_and_no_count(tmp_path):
    folder = write_export(tmp_path / "e", pool(10), per_shard=4)
    before = ids(open_source("s", folder, Bytes(), where="n < 5"))
    kept = [*folder.glob("*.tar"), *(folder / "tokens" / "bytes").glob("*.parquet")]
    stats = [file.stat() for file in kept]
    edited(folder, lambda row: row | {"scores": [("n", 9 - dict(row["scores"])["n"])]})
    after = open_source("s", folder, Bytes(), where="n < 5")
    assert set(ids(after)).isdisjoint(before) and len(after.pattern) == 5
    assert [(s.st_mtime_ns, s.st_ino) for s in stats] == [
        (f.stat().st_mtime_ns, f.stat().st_ino) for f in kept
    ]


def test_counts_are_resumed_by_shard_and_made_anew_for_other_bytes(tmp_path):
    folder = write_export(tmp_path / "e", pool(12), per_shard=4)
    files = sorted(count(folder, Bytes()).glob("*.parquet"))
    times = [file.stat().st_mtime_ns for file in files]
    files[1].unlink()
    count(folder, Bytes())
    again = [file.stat().st_mtime_ns for file in files]
    assert (again[0], again[2]) == (times[0], times[2]) and again[1] > times[1]
    write_export(folder, [words("longer " * 9, name=f"s{i}") for i in range(12)], per_shard=4)
    source = open_source("s", folder, Bytes())
    assert source.numbers(np.arange(12)).min() == len("longer ") * 9


def test_an_export_without_segments_is_images_and_captions(tmp_path):
    folder = write_export(tmp_path / "e", [plain("a red square", png(64, 48))])
    index = pq.read_table(folder / "index.parquet")
    assert open_source("s", folder, Bytes()).numbers(np.array([0])).tolist() == [[12, 64, 48]]
    row = index.to_pylist()[0]
    edited(folder, lambda r: r | {"members": [m.replace("segments", "other") for m in r["members"]]})
    (folder / "tokens" / "bytes" / "all-00000-of-00001.parquet").unlink()
    assert row["members"] == [".json", ".png", ".segments.json", ".txt"]
    old = open_source("s", folder, Bytes())
    assert old.numbers(np.array([0])).tolist() == [[12, 64, 48]] and old.patterns[0].plain


@pytest.mark.acceptance("T28")
def test_no_group_stands_on_both_sides_and_what_is_held_stays_held(tmp_path):
    def sample(i):
        return plain(f"{i}", png(16, 16, seed=i), name=f"s{i}", group=f"g{i // 3}", dup_group=i % 40)

    def opened(folder, **more):
        source = open_source("s", folder, Bytes(), hold=100, **more)
        return set(ids(source))

    one = write_export(tmp_path / "one", [sample(i) for i in range(120)], per_shard=50)
    two = write_export(tmp_path / "two", [sample(i) for i in range(300)], per_shard=50)
    held, train = opened(two, split="held"), opened(two)
    rows = {row["key"]: row for row in pq.read_table(two / "index.parquet").to_pylist()}
    for column in ("group_id", "dup_group"):
        assert {rows[k][column] for k in held}.isdisjoint(rows[k][column] for k in train)
    assert 0.04 < len(held) / 300 < 0.2 and train
    assert opened(one, split="held") == held & {
        row["key"] for row in pq.read_table(one / "index.parquet").to_pylist()
    }


@pytest.mark.acceptance("T26")
def test_a_sample_is_found_by_the_first_digits_of_its_id(tmp_path):
    source = open_source("s", write_export(tmp_path / "e", pool(50)), Bytes())
    plan = Plan([source], [1], Stage("one", 0, 64, 2, Realising(Buckets(32, 16)), window=32, block=16))
    sought = source.id(7)
    found = list(find(plan, [source], sought[:9].upper(), 3))
    assert [(f.id, f.epoch) for f in found] == [(sought, epoch) for epoch in range(3)]
    alike = {source.id(i) for i in range(50) if source.id(i).startswith(sought[0])}
    assert {f.id for f in find(plan, [source], sought[0], 1)} == alike
    for at in found:
        assert plan.step(at.step)[at.row][at.place].sample == 7
