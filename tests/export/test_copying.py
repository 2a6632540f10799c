"""Records that the export before holds unchanged are copied from there: same bytes, no source read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thresher.operators.export.verify import verify


@pytest.fixture
def again(export: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Export with the folder `before` as the export before this one."""

    def run(pool: Any, name: str, before: str, rows: Any = None, **given: Any) -> Any:
        identity = {"table": "images", "fingerprint": "f" * 8, "previous": str(tmp_path / before)}
        return export(pool, name, rows=rows, identity=identity, **given)

    return run


@pytest.mark.parametrize(("first", "then"), [(20_000, 20_000), (10_000, 40_000), (40_000, 10_000)])
def test_no_source_is_read_and_no_byte_differs(
    blob_pool: Callable[..., Any],
    export: Callable[..., Any],
    again: Callable[..., Any],
    tree: Callable[..., Any],
    tmp_path: Path,
    first: int,
    then: int,
) -> None:
    """Also when the shards are split or joined, with buckets, and with members that pass through."""
    pool, buckets = blob_pool(60), {"table": [[480, 640], [640, 480]], "base": 512}
    kept = [row for i, row in enumerate(pool.rows) if i % 5]
    export(pool, "before", shard_size=first, buckets=buckets)
    export(pool, "fresh", rows=kept, shard_size=then, buckets=buckets)
    for row in pool.rows:
        (pool.root / row["media"][0]["uri"]).unlink()
    again(pool, "copied", "before", rows=kept, shard_size=then, buckets=buckets)
    assert tree(tmp_path / "copied") == tree(tmp_path / "fresh")
    assert verify(str(tmp_path / "copied")).ok


def test_members_that_pass_through_are_copied(
    image_pool: Any,
    export: Callable[..., Any],
    again: Callable[..., Any],
    tree: Callable[..., Any],
    tmp_path: Path,
) -> None:
    export(image_pool, "before")
    export(image_pool, "fresh", rows=image_pool.rows[1:])
    (image_pool.root / "in.tar").unlink()
    again(image_pool, "copied", "before", rows=image_pool.rows[1:])
    assert tree(tmp_path / "copied") == tree(tmp_path / "fresh")


def test_a_changed_record_is_made_anew(
    blob_pool: Callable[..., Any],
    export: Callable[..., Any],
    again: Callable[..., Any],
    tree: Callable[..., Any],
    tmp_path: Path,
) -> None:
    pool = blob_pool(30)
    export(pool, "before", shard_size=20_000)
    changed = [row | ({"text": "another caption"} if i == 3 else {}) for i, row in enumerate(pool.rows)]
    again(pool, "copied", "before", rows=changed, shard_size=20_000)
    export(pool, "fresh", rows=changed, shard_size=20_000)
    assert tree(tmp_path / "copied") == tree(tmp_path / "fresh")


def test_other_parameters_copy_nothing(
    image_pool: Any,
    export: Callable[..., Any],
    again: Callable[..., Any],
    tree: Callable[..., Any],
    tmp_path: Path,
) -> None:
    export(image_pool, "before")
    again(image_pool, "copied", "before", resize={"short_side": 32})
    export(image_pool, "fresh", resize={"short_side": 32})
    assert tree(tmp_path / "copied") == tree(tmp_path / "fresh")


@pytest.mark.parametrize("fault", ["flipped byte", "missing shard", "other version"])
def test_a_damaged_export_is_not_copied_from(
    blob_pool: Callable[..., Any],
    export: Callable[..., Any],
    again: Callable[..., Any],
    tree: Callable[..., Any],
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
        manifest.write_text(manifest.read_text().replace('"dataset_version": 2', '"dataset_version": 1'))
    again(pool, "copied", "before", rows=pool.rows[:25], shard_size=20_000)
    export(pool, "fresh", rows=pool.rows[:25], shard_size=20_000)
    assert tree(tmp_path / "copied") == tree(tmp_path / "fresh")
