"""Kept ids, decisions and shard bytes do not depend on parts, workers, order or growth."""

import shutil
from pathlib import Path

import pytest

from thresher.operators.ingest import Listing
from thresher.pipelines.execute import ingest as ingesting
from thresher.pipelines.execute import run as running
from thresher.pipelines.recipe import Profile, load


@pytest.fixture(autouse=True)
def one_ray(monkeypatch):
    """One Ray session for the module; every pass is worth starting it."""
    monkeypatch.setattr(running, "RAY_WORTH_S", 0)


@pytest.fixture(scope="module", autouse=True)
def ray_session():
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    yield
    ray.shutdown()


def _run(path: Path, folder: Path, part_size: int, local: bool, workers: int = 2):
    loaded = load(path, [f"part_size={part_size}"])
    return running.Run(loaded, folder, Profile(workers=workers), local=local, quiet=True).execute()


def _facts(rows):
    return [(r["id"], r["status"], r["step"], r["reason"], r["value"], r["bound"], r["keeper"]) for r in rows]


@pytest.mark.acceptance("C4")
def test_results_do_not_depend_on_how_they_were_made(
    pool, recipe, tmp_path, ledger_of, tree_digest, monkeypatch, capsys
):
    path = recipe(('"sharpness < 60"', '"sharpness < quantile(sharpness, 0.3)"'),
                  ("export: {", "export: {buckets: {table: hunyuan33, base: 256}, "))  # fmt: skip
    found = {}

    def keep(name: str, folder: Path):
        export = folder / "export" / "images" / "latest"
        found[name] = tree_digest(export.resolve()), _facts(ledger_of(folder, live=True))

    for part_size in (7, 100, 4096):
        for local in (True, False):
            name = f"parts of {part_size}, {'local' if local else 'Ray'}"
            _run(path, tmp_path / name, part_size, local)
            keep(name, tmp_path / name)
    _run(path, tmp_path / "one", 7, local=False, workers=1)
    keep("1 worker", tmp_path / "one")

    plain = ingesting.list_source

    def shuffled(source):
        listing = plain(source)
        order = sorted(range(listing.units.num_rows), key=lambda i: hash((i, 5)) % 97)
        return Listing(listing.units.take(order), listing.problems)

    monkeypatch.setattr(ingesting, "list_source", shuffled)
    _run(path, tmp_path / "shuffled", 7, local=True)
    keep("shuffled listing", tmp_path / "shuffled")
    monkeypatch.undo()

    half = tmp_path / "aside"
    half.mkdir()
    for file in sorted(pool.iterdir())[::2]:
        shutil.move(file, half / file.name)
    _run(path, tmp_path / "grown", 7, local=True)
    for file in half.iterdir():
        shutil.move(file, pool / file.name)
    _run(path, tmp_path / "grown", 100, local=True)
    keep("grown from half", tmp_path / "grown")

    for name, (digest, _) in found.items():
        print(f"{digest}  {name}")
    assert len({digest for digest, _ in found.values()}) == 1, capsys.readouterr().out
    first = next(iter(found.values()))[1]
    assert all(facts == first for _, facts in found.values())
    assert any(f[1] == "kept" for f in first) and any(f[3] == "blurry" for f in first)


@pytest.mark.acceptance("C4")
def test_a_grown_pool_adds_parts_and_leaves_old_ones_untouched(pool, recipe, tmp_path):
    path = recipe()
    late = pool / "rocket-03.jpg"
    aside = shutil.move(late, tmp_path / "late.jpg")
    _run(path, tmp_path / "r", 40, local=True)
    before = {p: p.read_bytes() for p in (tmp_path / "r" / "catalog").rglob("part-*")}
    shutil.move(aside, late)
    _run(path, tmp_path / "r", 40, local=True)
    after = {p: p.read_bytes() for p in (tmp_path / "r" / "catalog").rglob("part-*")}
    assert len(after) == len(before) + 1
    assert all(after[p] == data for p, data in before.items())
