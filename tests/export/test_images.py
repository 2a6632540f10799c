"""Resized and re-encoded exports."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from thresher.operators.export.params import ExportParams
from thresher.operators.export.verify import verify


def _exported(folder: Path) -> dict[bytes, tuple[dict[str, Any], bytes]]:
    found = {}
    for row in pq.read_table(folder / "index.parquet").to_pylist():
        main = next(i for i, name in enumerate(row["members"]) if name in (".jpg", ".png", ".webp", ".gif"))
        start, size = row["member_offsets"][main], row["member_sizes"][main]
        data = (folder / row["shard"]).read_bytes()[start : start + size]
        found[row["id"]] = row | {"extension": row["members"][main]}, data
    return found


@pytest.fixture
def photos(image_pool: Any) -> Any:
    image_pool.rows = image_pool.rows[:4]
    return image_pool


def test_short_side_keeps_shape_and_lossless_formats(
    photos: Any, export: Callable[..., Any], tmp_path: Path
) -> None:
    export(photos, "out", resize={"short_side": 32})
    found = _exported(tmp_path / "out")
    for row, extension in zip(photos.rows, [".jpg", ".png", ".webp", ".png"], strict=True):
        line, data = found[row["id"]]
        image = Image.open(io.BytesIO(data))
        assert image.size == (round(row["width"] / 2), 32) == (line["widths"][0], line["heights"][0])
        assert line["extension"] == extension
    png = photos.rows[1]
    wanted = Image.open(io.BytesIO(photos.data(png))).resize((round(97 / 2), 32), Image.Resampling.LANCZOS)
    assert (np.asarray(Image.open(io.BytesIO(found[png["id"]][1]))) == np.asarray(wanted)).all()
    assert verify(str(tmp_path / "out")).ok


def test_images_are_never_enlarged(photos: Any, export: Callable[..., Any], tmp_path: Path) -> None:
    export(photos, "out", resize={"short_side": 64})
    found = _exported(tmp_path / "out")
    assert all(found[row["id"]][1] == photos.data(row) for row in photos.rows)


def test_bucket_covers_and_crops_the_centre(photos: Any, export: Callable[..., Any], tmp_path: Path) -> None:
    export(photos, "out", buckets={"base": 64, "table": [[32, 64], [48, 48]]}, resize="bucket")
    for line, data in _exported(tmp_path / "out").values():
        assert line["bucket"] == "32x64" and Image.open(io.BytesIO(data)).size == (64, 32)
        assert line["shard"].startswith("32x64-")
    export(photos, "small", buckets={"table": [[128, 128]]}, resize="bucket")
    found = _exported(tmp_path / "small")
    assert all(found[row["id"]][0]["bucket"] == "small" for row in photos.rows)
    assert all(found[row["id"]][1] == photos.data(row) for row in photos.rows)


def test_reencode(photos: Any, export: Callable[..., Any], tree: Callable[..., Any], tmp_path: Path) -> None:
    export(photos, "out", reencode={"format": "webp", "quality": 80})
    for line, data in _exported(tmp_path / "out").values():
        assert line["extension"] == ".webp" and Image.open(io.BytesIO(data)).format == "WEBP"
    export(photos, "again", reencode={"format": "webp", "quality": 80}, part_size=1)
    assert tree(tmp_path / "out") == tree(tmp_path / "again")


def test_resize_to_a_bucket_needs_buckets() -> None:
    with pytest.raises(ValidationError, match="buckets"):
        ExportParams.model_validate({"resize": "bucket"})
