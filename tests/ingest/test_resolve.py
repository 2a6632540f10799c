"""What a recipe's `ingest:` entry means, and what is said when nothing is there."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from thresher.operators.ingest import IngestParams, list_source, resolve
from thresher.schemas import FieldError


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def uris(base: Path, **params: object) -> tuple[str, list[str]]:
    source = resolve(IngestParams(**params), base)
    return source.root, sorted(list_source(source).units["uri"].to_pylist())


def test_exactly_one_kind():
    for wrong in (
        {},
        {"folder": "a", "shards": "b"},
        {"folder": "a", "columns": {"image": "x"}},
        {"urls": "x"},
    ):
        with pytest.raises(ValidationError):
            IngestParams(**wrong)
    with pytest.raises(ValidationError):
        IngestParams(parquet="a", columns={"picture": "x"})


def test_forms_of_shards(tmp_path):
    fill(
        tmp_path,
        "p/d-00.tar",
        "p/d-01.tar",
        "p/d-02.tar.gz",
        "p/deep/e.tgz",
        "p/x.txt",
        "q/f.tar",
        "p/[1].tar",
    )
    p = str(tmp_path / "p")
    everything = ["[1].tar", "d-00.tar", "d-01.tar", "d-02.tar.gz", "deep/e.tgz"]
    assert uris(tmp_path, shards="p") == (p, everything)
    assert uris(tmp_path, shards="./q/../p/") == (p, everything)
    assert uris(tmp_path, shards="p/d-00.tar") == (p, ["d-00.tar"])
    assert uris(tmp_path, shards="p/[1].tar") == (p, ["[1].tar"])
    assert uris(tmp_path, shards="p/d-*.tar") == (p, ["d-00.tar", "d-01.tar"])
    assert uris(tmp_path, shards="p/**/*.tgz") == (p, ["deep/e.tgz"])
    assert uris(tmp_path, shards="p/d-{00..01}.tar") == (p, ["d-00.tar", "d-01.tar"])
    assert uris(tmp_path, shards="{p,q}/*.tar") == (
        str(tmp_path),
        ["p/[1].tar", "p/d-00.tar", "p/d-01.tar", "q/f.tar"],
    )
    assert uris(tmp_path, shards=["p/d-00.tar", "p/d-01.tar"]) == (p, ["d-00.tar", "d-01.tar"])
    with pytest.raises(FieldError, match=r"different folders.*entry of its own"):
        uris(tmp_path, shards=["p/deep", "q/f.tar"])
    assert uris(tmp_path, shards=["p", "p/d-00.tar"]) == (p, everything)


def test_a_hole_in_a_range_is_reported(tmp_path):
    fill(tmp_path, "d-0.tar", "d-2.tar")
    source = resolve(IngestParams(shards="d-{0..2}.tar"), tmp_path)
    listing = list_source(source)
    assert listing.units.num_rows == 2
    assert [(p["path"], p["reason"]) for p in listing.problems] == [("d-1.tar", "missing_source")]


@pytest.mark.parametrize(
    ("params", "path", "said"),
    [
        ({"folder": "phots"}, ("folder",), "Did you mean 'photos'?"),
        ({"folder": "photos/a.jpg"}, ("folder",), "is a file"),
        ({"shards": "photos/*.tar"}, ("shards",), "does not exist"),
        ({"shards": ["photos", "nowhere/x-{0..3}.tar"]}, ("shards", 1), "does not exist"),
        ({"shards": "x-{3..0}.tar"}, ("shards",), "smaller end first"),
        ({"shards": "x-{0..99999}{0..99999}.tar"}, ("shards",), "1,000,000"),
        ({"parquet": "table.parquet"}, ("parquet",), "does not exist"),
        ({"folder": "nonsense://x/y"}, ("folder",), "cannot be opened"),
        ({"folder": "memory://nowhere"}, ("folder",), "does not exist"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, params, path, said):
    fill(tmp_path, "photos/a.jpg")
    with pytest.raises(FieldError) as caught:
        resolve(IngestParams(**params), tmp_path)
    assert caught.value.path == path and said in str(caught.value)


def test_a_name_is_the_last_part_of_the_root(tmp_path):
    fill(tmp_path, "photos/a.jpg")
    assert resolve(IngestParams(folder="photos/"), tmp_path).name == "photos"
    assert resolve(IngestParams(folder="photos", name="web"), tmp_path).name == "web"
