"""From a recipe to shards: every row is accounted for, and a trainer finds texts, turns and images."""

import json
import tarfile

import pyarrow.parquet as pq
import pytest

import thresher
from tests.documents.conftest import RECIPE, lines, picture
from thresher.loader.index import open_source
from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.pattern import Kind, Realising
from thresher.loader.plan.plan import Plan, Stage
from thresher.loader.steps import Loader
from thresher.loader.tokens import Bytes
from thresher.operators.export.verify import verify
from thresher.schemas import ThresherError, UsageError
from thresher.schemas.segments import kinds_of, problems

FUNNEL = {
    "ingest": {"empty_file": 1, "corrupt": 1, "unsafe_member": 1},
    "documents": {"missing_source": 1, "truncated": 1},
    "select": {"custom.short": 1},
}


def built(pool, folder="r", **more):
    """Run the recipe in this process."""
    return thresher.run(pool / "docs.yaml", pool / folder, local=True, quiet=True, **more)


def samples(export):
    """Original key -> (index row, members by name without the key)."""
    found = {}
    for row in pq.read_table(export / "index.parquet").to_pylist():
        with tarfile.open(export / row["shard"]) as tar:
            members = {n: tar.extractfile(row["key"] + n).read() for n in row["members"]}
        found[json.loads(members[".json"])["key"]] = row, members
    return found


def shards(export):
    return {p.name: p.read_bytes() for p in sorted(export.iterdir()) if p.is_file()}


def test_a_recipe_of_documents(cli, pool):
    done = cli.run("docs.yaml", "--run", "r", "--local")["tables"]["docs"]
    funnel = {step["label"]: step for step in done["funnel"]}
    assert {label: step["reasons"] for label, step in funnel.items()} == FUNNEL
    assert all(s["entered"] == s["kept"] + s["dropped"] + s["failed"] for s in funnel.values())
    assert funnel["ingest"]["entered"] == 54 and funnel["select"]["kept"] == 48
    export = pool / "r/export/docs/latest"
    report = verify(str(export))
    assert report.ok and report.records == 48 and report.shards > 1
    held = samples(export)
    for row, members in held.values():
        segments = json.loads(members[".segments.json"])
        assert problems(segments, members) == [] and kinds_of(segments) == row["kinds"]
        assert "items" not in json.loads(members[".json"]) and ".txt" not in members

    row, members = held["data/llava.json#two"]
    parts = json.loads(members[".segments.json"])
    assert row["kinds"] == "icicx" and row["task"] == "dialogue" and row["n_images"] == 2
    assert [p["ref"] for p in parts] == [".0.jpg", "or", ".1.jpg", "?", "The first"]
    assert [p["turn"] for p in parts] == ["user"] * 4 + ["assistant"]
    assert [p["loss"] for p in parts] == [False] * 4 + [True]
    assert (row["widths"], row["heights"]) == ([60, 60], [40, 41])
    assert members[".1.jpg"] == (pool / "pictures/1.jpg").read_bytes()

    row, members = held["data/texts.jsonl.gz#1"]
    (part,) = json.loads(members[".segments.json"])
    assert (row["kinds"], row["task"], row["n_images"], row["widths"]) == ("x", "text", 0, [])
    assert part["ref"].startswith("Text 0: word") and part["turn"] == "none" and part["loss"]
    assert dict(row["text_chars"]) == {"text": len(part["ref"])}
    assert dict(row["scores"])["n_chars"] == len(part["ref"])

    assert held["data/c.parquet#2"][1][".0.png"] == picture(22, "PNG")
    assert held["data/share.jsonl#0"][0]["kinds"] == "cx"


def test_ray_gives_the_same_shards(cli, pool):
    built(pool, "one")
    (pool / "docs.yaml").write_text(RECIPE.replace("seed: 1", "seed: 1\npart_size: 7"))
    cli.run("docs.yaml", "--run", "two")
    assert shards(pool / "one/export/docs/latest") == shards(pool / "two/export/docs/latest")


def test_a_file_that_grows_keeps_its_records(pool):
    built(pool)
    before = samples(pool / "r/export/docs/latest")
    grown = lines(json.loads((pool / "data/share.jsonl").read_bytes()), {"text": "A new text, " * 9})
    (pool / "data/share.jsonl").write_bytes(grown)
    built(pool)
    after = samples(pool / "r/export/docs/latest")
    assert {*after} - {*before} == {"data/share.jsonl#1"}
    assert all(after[key][1] == members for key, (_, members) in before.items())


def test_a_changed_image_is_never_exported(pool):
    built(pool, overrides=["tables.docs.export=null"])
    (pool / "pictures/1.jpg").write_bytes(picture(7))
    with pytest.raises(ThresherError, match=r"pictures/1.jpg: has changed since it was measured"):
        built(pool)


def test_those_who_read_a_run(cli, pool):
    built(pool)
    story = cli("explain", "llava.json#two", "--run", "r")
    assert "kept" in story and "n_images" in story and "dialogue" in story
    assert "custom.short 1" in cli("status", "r")
    cli("report", "r")
    page = (pool / "r/report.html").read_text()
    assert "Text 0: word" in page and "data:image/webp" in page
    assert "48 records" in cli("verify", "r/export/docs/latest")


def test_a_loader_reads_all_of_them(pool):
    built(pool)
    source = open_source("docs", pool / "r/export/docs/latest", Bytes())
    how = Realising(image=Buckets(64, 16), most=2048)
    plan = Plan([source], [1.0], Stage("one", 0, 2048, 4, how, window=48))
    loaded = [one for one, _ in zip(Loader(plan, [source], Bytes()), range(2), strict=False)]
    assert not any(one.holes for one in loaded)
    rows = [row for one in loaded for row in one.rows]
    assert {p.kind for row in rows for p in row.pictures} == {Kind.CLEAN}, "conditions alone"
    assert sum(len(row.slots) for row in rows) >= 48 and all((row.target >= 0).any() for row in rows)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- documents", "- quality", "docs.yaml:9: 'quality' works on images, and this table holds texts"),
        ("- documents", "- dedupe.exact", "steps here are documents, select"),
        ("      - documents\n", "", "Add `- documents` before this step"),
        ("10KB", "10KB, buckets: {base: 512}", "docs.yaml:12: `buckets` is for pictures and captions"),
        ("files: data,", "", "the key 'files' is missing"),
        ("ingest: {", "ingest: {folder: data, ", "give exactly one of folder, shards, parquet, documents"),
        ("{documents: {files: data, images: pictures}, name: mix, licence: CC0-1.0}",
         "[{documents: data}, {folder: pictures}]", "two kinds, interleaved and image. Make a table of each"),
    ],
)  # fmt: skip
def test_what_a_recipe_cannot_ask(pool, old, new, said):
    (pool / "docs.yaml").write_text(RECIPE.replace(old, new))
    with pytest.raises(UsageError) as found:
        built(pool)
    assert said in str(found.value)


def test_a_run_of_images_is_no_run_of_documents(pool):
    built(pool)
    text = RECIPE[: RECIPE.index("    ingest")] + "    ingest: {folder: pictures}\n    steps: [documents]\n"
    (pool / "docs.yaml").write_text(text)
    with pytest.raises(UsageError, match="'documents' works on texts and dialogues, and this table holds"):
        built(pool)
    (pool / "docs.yaml").write_text(text.replace("documents", "quality"))
    with pytest.raises(ThresherError, match="holds texts and dialogues, the recipe's images"):
        built(pool)
