"""A run that changed its mind equals a fresh run: files put back, edited, renamed; values said anew."""

import json
import os
import shutil
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter

import thresher


def _export(folder: Path) -> Path:
    return (folder / "export/images/latest").resolve()


def _tar(path: Path, files: list[Path], mtime: int) -> None:
    with tarfile.open(path, "w") as tar:
        for file in files:
            info = tarfile.TarInfo(file.name)
            info.size, info.mtime = file.stat().st_size, mtime
            with open(file, "rb") as data:
                tar.addfile(info, data)


@pytest.mark.acceptance("C4")
def test_a_file_put_back_is_live_again(cli, pool, recipe, tmp_path, tree_digest, ledger_of):
    path = recipe()
    cli.run(path, "--run", "fresh", "--local")
    victim = pool / "coffee-05.jpg"
    shutil.copy2(victim, tmp_path / "kept.jpg")
    cli.run(path, "--run", "r", "--local")
    victim.write_bytes((pool / "coffee-06.jpg").read_bytes())
    cli.run(path, "--run", "r", "--local")
    shutil.copy2(tmp_path / "kept.jpg", victim)
    cli.run(path, "--run", "r", "--local")
    rows = [r for r in ledger_of(tmp_path / "r") if r["key"] == "coffee-05.jpg"]
    assert [(r["version"], r["status"], r["reason"]) for r in rows] == [
        (0, "kept", None),
        (1, "dropped", "superseded"),
    ]
    assert rows[1]["column"] == "version" and rows[1]["value"] == "1" and rows[1]["bound"]
    assert tree_digest(_export(tmp_path / "r")) == tree_digest(_export(tmp_path / "fresh"))


@pytest.mark.acceptance("C4")
def test_a_step_that_is_added_writes_its_columns_into_every_record(cli, pool, recipe, tree_digest):
    """Also where they are null or empty, so that the export must not copy the old record."""
    cli.run(recipe(("      - dedupe.near\n", "")), "--run", "r", "--local")
    path = recipe()
    cli.run(path, "--run", "r", "--local")
    cli.run(path, "--run", "fresh", "--local")
    assert tree_digest(_export(cli.cwd / "r")) == tree_digest(_export(cli.cwd / "fresh"))


@pytest.mark.acceptance("C4")
def test_a_tar_replaced_and_put_back_equals_a_fresh_run(cli, photo_tiles, recipe, tmp_path, tree_digest):
    path = recipe(("{folder: ./photos}", "{shards: ./tars, name: t}"))
    (tmp_path / "tars").mkdir()
    tar = tmp_path / "tars" / "a.tar"
    _tar(tar, photo_tiles[:30], 0)
    shutil.copy2(tar, tmp_path / "kept.tar")
    cli.run(path, "--run", "fresh", "--local")
    cli.run(path, "--run", "r", "--local")
    _tar(tar, photo_tiles[10:60], 0)
    cli.run(path, "--run", "r", "--local")
    cli.run(path, "--run", "fresh2", "--local")
    assert tree_digest(_export(tmp_path / "r")) == tree_digest(_export(tmp_path / "fresh2"))
    shutil.copy2(tmp_path / "kept.tar", tar)
    done = cli.run(path, "--run", "r", "--local")
    assert tree_digest(_export(tmp_path / "r")) == tree_digest(_export(tmp_path / "fresh"))
    kept = done["tables"]["images"]["funnel"][0]["kept"]
    assert kept == 30


CHANGING = (
    "      - quality\n",
    "      - quality\n      - select: {as: early, drop: {blurry: 'sharpness < 1'}}\n",
)


def _groups(export: Path) -> dict[bytes, int]:
    rows = pq.read_table(export / "index.parquet", columns=["id", "dup_group"])
    return dict(zip(rows["id"].to_pylist(), rows["dup_group"].to_pylist(), strict=True))


@pytest.mark.acceptance("C4")
def test_any_history_gives_what_a_fresh_run_gives(photo_tiles, recipe, tmp_path, tree_digest, ledger_of):
    """One run after another change of mind or pool: ledger, shards, index, dataset.json of the newest alone.

    Each of the first ten tiles has a blurred copy, of which five are the larger file and so the keeper,
    while the early select lets them through; each of the next ten an exact twin with its own caption.
    """
    pool = tmp_path / "photos"
    pool.mkdir()
    for i, path in enumerate(photo_tiles[:32]):
        shutil.copy2(path, pool / path.name)
        if i % 2:
            (pool / f"{path.stem}.txt").write_text(f"A photograph, number {i}.")
        if i < 10:
            image = Image.open(path).filter(ImageFilter.GaussianBlur(1.5))
            image.save(pool / f"soft-{i}.jpg", quality=100 if i < 5 else 60)
        elif i < 20:
            shutil.copy2(path, pool / f"twin-{i}.jpg")
            (pool / f"twin-{i}.txt").write_text(f"The same, number {i}.")
    path = recipe(CHANGING)
    early, late = (f"tables.images.steps.{s}.drop.blurry=sharpness < " for s in ("early", "select"))
    export = "tables.images.export."
    singles = [p.stem for p in photo_tiles[20:32]]

    def edit() -> None:
        """A kept record's caption, a twin's (its keeper tells it), a caption gone and a new one."""
        (pool / f"{singles[1]}.txt").write_text("Another caption.")
        (pool / "twin-12.txt").write_text("Another caption of the twin.")
        (pool / f"{singles[3]}.txt").unlink()
        (pool / f"{singles[0]}.txt").write_text("A caption at last.")
        (pool / f"{singles[5]}.json").write_text('{"licence": "CC0-1.0"}')

    def move() -> None:
        """A keeper goes, its duplicate stays; a file comes; a kept file's content changes."""
        (pool / "soft-3.jpg").unlink()
        shutil.copy2(photo_tiles[40], pool / "late.jpg")
        shutil.copy2(photo_tiles[41], pool / f"{singles[7]}.jpg")

    history = [
        ("all", None, []),
        ("tight early", None, [early + "150", late + "0.5"]),
        ("the same records kept", None, [early + "150", late + "0.25"]),
        ("captions, smaller shards", edit, [late + "20", export + "shard_size=30KB"]),
        ("files, resized", move, [late + "20", export + "resize={short_side: 96}"]),
        ("original bytes again", None, [early + "150"]),
        ("all again", None, []),
    ]
    groups = []
    for number, (name, change, overrides) in enumerate(history):
        if change:
            change()
        for run in ("r", f"fresh-{number}"):
            thresher.run(path, tmp_path / run, overrides=overrides, local=True, quiet=True)
        long, fresh = tmp_path / "r", tmp_path / f"fresh-{number}"
        rows = [[{**r, "version": 0} for r in ledger_of(f, live=True)] for f in (long, fresh)]
        assert rows[0] == rows[1], name
        assert _export(long).name == _export(fresh).name, name
        assert tree_digest(_export(long)) == tree_digest(_export(fresh)), name
        groups.append(_groups(_export(long)))
    assert groups[1].keys() == groups[2].keys(), "two bounds that keep the same records"
    assert any(groups[0][i] != groups[1][i] for i in groups[0].keys() & groups[1].keys())
    assert groups[0].keys() - groups[1].keys() and groups[1].keys() - groups[0].keys()


def test_an_export_folder_kept_from_a_deleted_run_is_not_taken_for_the_new_one(cli, pool, recipe, tmp_path):
    path = recipe(("export: {", "export: {to: ./out, "))
    cli.run(path, "--run", "r", "--local")
    victim = pool / "coffee-05.jpg"
    Image.open(pool / "astronaut-05.jpg").rotate(90).save(victim)
    shutil.rmtree(tmp_path / "r")
    cli.run(path, "--run", "r", "--local")
    folder = Path(json.loads(cli.out)["tables"]["images"]["export"])
    assert dict(_exported(folder))["coffee-05.jpg"] == victim.read_bytes()
    assert (tmp_path / "out/latest").resolve() == folder


def _exported(folder: Path):
    for tar in sorted(folder.glob("*.tar")):
        with tarfile.open(tar) as shard:
            members = {m.name: shard.extractfile(m).read() for m in shard}
        for name, data in members.items():
            if name.count(".") == 1 and name.endswith(".json"):
                image = next(v for k, v in members.items() if k[:32] == name[:32] and not k.endswith("json"))
                yield json.loads(data)["key"], image


def test_a_licence_said_later_is_the_licence(cli, pool, recipe, tmp_path, tree_digest):
    cli.run(recipe(), "--run", "r", "--local")
    later = recipe(("{folder: ./photos}", "{folder: ./photos, licence: CC0-1.0, synthetic: true}"))
    done = cli.run(later, "--run", "r", "--local")
    assert set(dict(done["tables"]["images"]["computed"])) == {"export"}, "no file is opened for that"
    cli.run(later, "--run", "fresh", "--local")
    assert tree_digest(_export(tmp_path / "r")) == tree_digest(_export(tmp_path / "fresh"))
    with tarfile.open(next(_export(tmp_path / "r").glob("*.tar"))) as shard:
        record = json.loads(shard.extractfile(next(m for m in shard if m.name.endswith(".json"))).read())
    assert record["licence"] == "CC0-1.0" and record["synthetic"] is True


def test_a_source_renamed_or_left_out(cli, pool, recipe, tmp_path, ledger_of):
    cli.run(recipe(), "--run", "r", "--local")
    other = recipe(("{folder: ./photos}", "{folder: ./photos, name: pictures}"))
    done = cli.run(other, "--run", "r", "--local")
    assert done["tables"]["images"]["funnel"][0]["reasons"] == {"missing_source": 100}
    rows = ledger_of(tmp_path / "r")
    assert len(rows) == 200 and {r["source"] for r in rows if r["status"] == "kept"} == {"pictures"}


def test_two_tables_do_not_share_a_folder(cli, pool, tmp_path):
    table = "{ingest: {folder: ./photos}, export: {to: ./out}}"
    (tmp_path / "two.yaml").write_text(f"name: two\ntables:\n  a: {table}\n  b: {table}\n")
    cli("plan", "two.yaml", code=2)
    assert "'a' and 'b' export to the same folder" in cli.err and "two.yaml:4" in cli.err


def test_a_sample_does_not_become_the_latest(cli, pool, recipe, tmp_path):
    path = recipe()
    cli("run", str(path), "--run", "r", "--local")
    whole = _export(tmp_path / "r")
    assert "/latest\n" in cli.out and "imit" not in cli.out
    cli("run", str(path), "--run", "r", "--local", "--limit", "10")
    assert _export(tmp_path / "r") == whole
    assert "images/latest was left as it is" in cli.out
    assert "Limited to 10 records of each table by --limit.\n" in cli.out


def test_gc_leaves_shared_exports_alone(cli, pool, recipe, tmp_path):
    path = recipe(("export: {", "export: {to: ./out, "))
    cli.run(path, "--run", "a", "--local")
    bound = "tables.images.steps.select.drop.blurry=sharpness < 100"
    cli.run(path, "--run", "b", "--local", "--set", bound)
    cli("gc", "b", "--yes")
    assert len([p for p in (tmp_path / "out").iterdir() if not p.is_symlink()]) == 2
    cli("gc", "b", "--exports", "--yes")
    assert len([p for p in (tmp_path / "out").iterdir() if not p.is_symlink()]) == 1
    cli.run(path, "--run", "a", "--local", "--set", bound)
    cli("gc", "a", "--yes")
    assert "Removed" in cli.out
    assert cli.run(path, "--run", "a", "--local", "--set", bound)["tables"]["images"]["computed"] == []


def test_a_pool_that_cannot_be_read_is_no_empty_pool(cli, pool, recipe):
    if os.geteuid() == 0:  # root may read everything unless it gives that right up
        less = "-dac_override,-dac_read_search"
        cli.prefix = ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}"]
    path = recipe()
    pool.chmod(0)
    for command in ("run", "plan"):
        cli(command, str(path), "--run", "r", "--local", code=1)
        assert "cannot be read" in cli.err and str(pool) in cli.err
    pool.chmod(0o755)
