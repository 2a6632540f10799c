"""Records that the export before holds unchanged are copied from there: same bytes, no source read."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from thresher.operators.export.verify import verify


@pytest.fixture
def check(export: Callable[..., Any], tree: Callable[..., Any], tmp_path: Path) -> Callable[..., None]:
    """Exports after the folder `before` what a fresh export holds, with the files `gone` in between."""

    def run(pool: Any, gone: Iterable[Path] = (), **given: Any) -> None:
        export(pool, "fresh", **given)
        for path in gone:
            path.unlink()
        identity = {"table": "images", "fingerprint": "f" * 8, "previous": str(tmp_path / "before")}
        export(pool, "copied", identity=identity, **given)
        assert tree(tmp_path / "copied") == tree(tmp_path / "fresh")
        assert verify(str(tmp_path / "copied")).ok

    return run


@pytest.mark.parametrize(("first", "then"), [(20_000, 20_000), (10_000, 40_000), (40_000, 10_000)])
def test_no_source_is_read_and_no_byte_differs(
    blob_pool: Callable[..., Any],
    export: Callable[..., Any],
    check: Callable[..., None],
    first: int,
    then: int,
) -> None:
    """Also when the shards are split or joined, and with buckets."""
    pool, buckets = blob_pool(60), {"table": [[480, 640], [640, 480]], "base": 512}
    export(pool, "before", shard_size=first, buckets=buckets)
    sources = [pool.root / row["media"][0]["uri"] for row in pool.rows]
    kept = [row for i, row in enumerate(pool.rows) if i % 5]
    check(pool, sources, rows=kept, shard_size=then, buckets=buckets)


def test_members_that_pass_through_are_copied(
    image_pool: Any, export: Callable[..., Any], check: Callable[..., None]
) -> None:
    export(image_pool, "before")
    check(image_pool, [image_pool.root / "in.tar"], rows=image_pool.rows[1:])


def test_a_changed_record_is_made_anew(
    blob_pool: Callable[..., Any], export: Callable[..., Any], check: Callable[..., None]
) -> None:
    pool = blob_pool(30)
    export(pool, "before", shard_size=20_000)
    changed = [row | ({"text": "another caption"} if i == 3 else {}) for i, row in enumerate(pool.rows)]
    check(pool, rows=changed, shard_size=20_000)


def test_other_parameters_copy_nothing(
    image_pool: Any, export: Callable[..., Any], check: Callable[..., None]
) -> None:
    export(image_pool, "before")
    check(image_pool, resize={"short_side": 32})


@pytest.mark.parametrize("fault", ["flipped byte", "missing shard", "other version"])
def test_a_damaged_export_is_not_copied_from(
    blob_pool: Callable[..., Any],
    export: Callable[..., Any],
    check: Callable[..., None],
    tmp_path: Path,
    fault: str,
) -> None:
    pool = blob_pool(30)
    export(pool, "before", shard_size=20_000)
    shard = max((tmp_path / "before").glob("*.tar"), key=lambda path: path.stat().st_size)
    if fault == "flipped byte":
        data = bytearray(shard.read_bytes())
        data[1500] ^= 1
        shard.write_bytes(data)
    elif fault == "missing shard":
        shard.unlink()
    else:
        manifest = tmp_path / "before" / "dataset.json"
        manifest.write_text(manifest.read_text().replace('"dataset_version": 4', '"dataset_version": 1'))
    check(pool, rows=pool.rows[:25], shard_size=20_000)
