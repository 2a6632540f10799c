"""The pool as a whole: files, truth, repetition, refusal."""

import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from thresher.pipelines.demo import Truth, make_pool, read_truth
from thresher.schemas.errors import UsageError
from thresher.schemas.uris import unquote_path


def image_path(pool: Path, entry: Truth) -> bytes:
    return os.path.join(os.fsencode(pool / entry.source), unquote_path(entry.key))


def digests(directory: Path) -> dict[str, str]:
    """Relative path -> SHA-256, links by their target."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(directory))] = os.readlink(path)
        elif path.is_file() and os.access(path, os.R_OK):
            found[str(path.relative_to(directory))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_the_truth_names_each_file_once(pool: Path) -> None:
    entries = read_truth(pool / "truth.json")
    assert len({entry.id for entry in entries}) == len(entries)
    listed = {image_path(pool, e) for e in entries if e.source == "images"}
    on_disk = {os.fsencode(p) for p in (pool / "images").rglob("*") if p.is_symlink() or p.is_file()}
    assert on_disk <= listed
    assert all(os.path.lexists(path) for path in listed)


def test_several_hundred_records_and_small(pool: Path) -> None:
    entries = read_truth(pool / "truth.json")
    assert 300 <= len(entries) <= 600
    size = sum(p.stat().st_size for p in pool.rglob("*") if p.is_file() and not p.is_symlink())
    assert size < 60e6


def test_good_pictures_open(pool: Path) -> None:
    for entry in read_truth(pool / "truth.json"):
        if entry.source == "images" and entry.status in ("kept", "dropped"):
            with Image.open(os.fsdecode(image_path(pool, entry))) as image:
                image.load()


def test_groups_lead_to_originals(pool: Path) -> None:
    entries = {f"{e.source}:{e.key}": e for e in read_truth(pool / "truth.json")}
    copies = [e for e in entries.values() if e.group]
    assert copies and all(entries[e.group].status == "kept" for e in copies)
    for entry in copies:
        if entry.kind == "exact copy" and entry.source == "images":
            with (
                open(image_path(pool, entry), "rb") as a,
                open(image_path(pool, entries[entry.group]), "rb") as b,
            ):
                assert a.read() == b.read()


def test_one_seed_gives_one_pool(pool: Path, tmp_path: Path) -> None:
    make_pool(tmp_path / "again", seed=0)
    assert digests(tmp_path / "again") == digests(pool)
    make_pool(tmp_path / "other", seed=1)
    assert digests(tmp_path / "other") != digests(pool)


def test_repeating_leaves_the_pool_as_it_is(tmp_path: Path) -> None:
    assert make_pool(tmp_path, seed=3).created
    before = {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")}
    again = make_pool(tmp_path, seed=3)
    assert not again.created and again.planted["re-encode"] == 30
    assert {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_another_seed_replaces_the_pool(pool: Path, tmp_path: Path) -> None:
    make_pool(tmp_path, seed=4)
    make_pool(tmp_path, seed=0)
    assert digests(tmp_path) == digests(pool)


def test_an_interrupted_pool_is_planted_anew(pool: Path, tmp_path: Path) -> None:
    (tmp_path / "SOURCES.txt").write_bytes((pool / "SOURCES.txt").read_bytes())
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "half.jpg").write_bytes(b"half")
    make_pool(tmp_path, seed=0)
    assert digests(tmp_path) == digests(pool)


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(UsageError, match="holds no demo pool"):
        make_pool(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is a file"):
        make_pool(tmp_path / "thesis.tex")


def test_a_missing_truth_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="thresher demo-pool DIR"):
        read_truth(tmp_path / "truth.json")
