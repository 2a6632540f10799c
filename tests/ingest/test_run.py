"""Ingest in whole runs: poison at the scan, faulty sidecars, pools without media."""

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

READER = """
import ctypes, os
from fsspec.spec import AbstractFileSystem

class Reader(AbstractFileSystem):
    "Local files through a reader with a fault: some files kill it, some hang it."
    protocol = "faulty"
    cachable = False

    def ls(self, path, detail=True, **kwargs):
        names = [path] if os.path.isfile(path) else [os.path.join(path, n) for n in sorted(os.listdir(path))]
        return [self.info(name) for name in names] if detail else names

    def info(self, path, **kwargs):
        state = os.stat(self._strip_protocol(path))
        kind = "directory" if os.path.isdir(path) else "file"
        return {"name": path, "size": state.st_size, "type": kind, "mtime": state.st_mtime}

    def _open(self, path, mode="rb", **kwargs):
        if "segfault" in path:
            ctypes.string_at(0)
        if "spin" in path:
            import re
            re.match(r"(a+)+$", "a" * 64 + "b")
        if "sleep" in path:
            ctypes.PyDLL(None).pause()
        return open(path, "rb")
"""

PROFILE = "workers: 2\nrecord_cpu_s: 1.5\nrecord_wall_s: 4\nobject_store_mb: 100\n"
SHARDS, FOLDER = "{shards: 'faulty://%s'}", "{folder: 'faulty://%s'}"


@pytest.fixture
def reader(tmp_path, cli):
    """Installs a third-party file system, as a package with an entry point."""
    info = tmp_path / "site/faulty-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site/faulty_reader.py").write_text(READER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fsspec.specs]\nfaulty = faulty_reader:Reader\n")
    cli.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(info.parent), os.environ.get("PYTHONPATH")]))
    (tmp_path / "profile.yaml").write_text(PROFILE)


def tars(folder: Path, tiles: list[Path], names: list[str]) -> None:
    folder.mkdir()
    for i, name in enumerate(names):
        with tarfile.open(folder / f"{name}.tar", "w") as tar:
            tar.add(tiles[i], tiles[i].name)


@pytest.mark.acceptance("C7")
@pytest.mark.parametrize("where", ["local", "ray"])
def test_a_container_that_kills_its_scan_costs_that_container(
    cli, reader, recipe, photo_tiles, ledger_of, tmp_path, where
):
    poison = {"segfault": "killed_worker"}
    if where == "local":
        poison |= {"spin": "timeout", "sleep": "timeout"}
    whole = 3 if where == "local" else 70  # less work would not start Ray
    tars(tmp_path / "photos", photo_tiles, [*poison, *(f"s{i}" for i in range(whole))])
    path = recipe(("{folder: ./photos}", SHARDS % (tmp_path / "photos")), ("      - dedupe.near\n", ""))
    more = ["--local"] if where == "local" else []
    done = cli.run(path, "--run", "r", "--profile", "profile.yaml", *more)
    rows = {r["key"]: r for r in ledger_of(tmp_path / "r")}
    failed = {key: row["reason"] for key, row in rows.items() if row["status"] == "failed"}
    assert failed == {f"{name}.tar": reason for name, reason in poison.items()}
    assert "twice" in rows["segfault.tar"]["message"] and len(rows) == whole + len(poison)
    assert done["tables"]["images"]["funnel"][0]["failed"] == len(poison)
    if where == "ray":
        return
    again = cli.run(path, "--run", "r", "--profile", "profile.yaml", *more)
    assert again["tables"]["images"]["computed"] == [], "the poison is not met again"


@pytest.mark.acceptance("C7")
def test_a_sidecar_that_kills_the_scan_costs_its_image(cli, reader, recipe, pool, ledger_of, tmp_path):
    (pool / "coffee-01.txt").write_text("a cup")
    for name in ("coffee-02", "coffee-03"):
        shutil.move(pool / f"{name}.jpg", pool / f"segfault-{name}.jpg")
    (pool / "segfault-coffee-02.txt").write_text("poison")
    path = recipe(("{folder: ./photos}", FOLDER % pool), ("      - dedupe.near\n", ""))
    cli.run(path, "--run", "r", "--local", "--profile", "profile.yaml")
    rows = {r["key"]: r for r in ledger_of(tmp_path / "r")}
    killed = {key for key, row in rows.items() if row["reason"] == "killed_worker"}
    assert killed == {"segfault-coffee-02.jpg", "segfault-coffee-03.jpg"} and len(rows) == 100
    assert "it is tried again" in rows["segfault-coffee-02.jpg"]["message"]


@pytest.mark.acceptance("C8")
def test_faulty_sidecars_are_told_and_cost_no_image(cli, recipe, pool, ledger_of, tmp_path):
    (pool / "coffee-01.json").write_text('{"a": broken}')
    (pool / "coffee-02.json").write_bytes(b'{"caption": "\xff"}')
    (pool / "coffee-03.txt").write_bytes(b"w" * (5 << 20))
    (pool / "coffee-04.caption").write_bytes(b"caf\xe9")
    (pool / "coffee-05.json").write_text('{"caption": "a cup"}')
    done = cli.run(recipe(), "--run", "r", "--local")
    problems = {p["path"]: p["message"] for p in done["tables"]["images"]["problems"]}
    assert problems == {
        "coffee-01.jpg": "coffee-01.json is not valid JSON: Expecting value: line 1 column 7 (char 6)",
        "coffee-02.jpg": "coffee-02.json is not valid JSON: not UTF-8 at byte 13",
        "coffee-03.jpg": "coffee-03.txt has more than 4194304 bytes",
        "coffee-04.jpg": "coffee-04.caption is not UTF-8: bad bytes became U+FFFD",
    }
    assert {p["reason"] for p in done["tables"]["images"]["problems"]} == {"noted"}
    rows = {r["key"]: r for r in ledger_of(tmp_path / "r")}
    assert all(rows[key]["status"] != "failed" for key in problems)
    assert "coffee-01.json is not valid JSON" in (tmp_path / "r/report.html").read_text()
    assert "entered, but: coffee-01.jpg" in cli("run", str(recipe()), "--run", "r", "--local")


@pytest.mark.acceptance("C8")
def test_a_pool_without_media_stops_the_run(cli, recipe, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.md", "b.md", ".hidden", "c.csv"):
        (tmp_path / "photos" / name).write_text("x")
    for command, kind, ending in (("run", "folder", ".jpg"), ("plan", "parquet", ".pq")):
        path = recipe(("{folder:", "{" + kind + ":"))
        cli(command, str(path), "--run", "r", "--local", code=1)
        assert "no media found" in cli.err and "2 *.md" in cli.err and "1 hidden" in cli.err
        assert ending in cli.err
    assert not (tmp_path / "r/export").exists()


def test_shards_without_a_record_stop_the_run(cli, recipe, tmp_path):
    (tmp_path / "photos").mkdir()
    with tarfile.open(tmp_path / "photos/a.tar", "w", fileobj=io.BytesIO()):
        pass
    (tmp_path / "photos/a.tar").write_bytes(bytes(10_240))
    cli("run", str(recipe(("{folder:", "{shards:"))), "--run", "r", "--local", code=1)
    assert "no media found" in cli.err and "1 files without a record" in cli.err


def test_a_pool_that_became_empty_is_a_warning(cli, recipe, pool, tmp_path):
    cli.run(recipe(), "--run", "r", "--local")
    for path in pool.iterdir():
        path.unlink()
    done = cli.run(recipe(), "--run", "r", "--local")["tables"]["images"]
    assert done["funnel"][0]["reasons"] == {"missing_source": 100} and done["funnel"][0]["kept"] == 0
    assert [(p["reason"], p["path"]) for p in done["problems"]] == [("empty_source", "photos")]
    assert "holds nothing" in done["problems"][0]["message"]
