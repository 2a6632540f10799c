"""The Measure as a whole: its columns, its ranges, one record at a time."""

import importlib.util
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from thresher.operators.base import Batch
from thresher.operators.quality import Quality
from thresher.operators.registry import get
from thresher.operators.values import to_array
from thresher.schemas import Reason

READABLE = {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"}
ROOT = Path(__file__).parent.parent.parent
NAMES = """width height short_side megapixels aspect format mode icc bit_depth exif_orientation jpeg_quality
bytes bpp animated has_alpha lossless alpha_share luma_mean luma_std clip_low clip_high dynamic_range entropy
saturation saturation_p99 is_gray colorfulness sharpness focus texture noise blockiness upscaled jpeg_bpp
border letterbox uniform_tiles collage text_like""".split()  # noqa: SIM905


def test_the_declared_columns_and_no_other():
    assert [c.name for c in Quality().writes()] == NAMES
    assert get("quality") is Quality
    assert all(c.unit and c.meaning for c in Quality().writes())


def check_storable(answer):
    """Every value fits its column's type and range; no NaN, no infinity."""
    for column in Quality().writes():
        _, failures = to_array(answer.columns[column.name], column)
        assert not failures, failures


def test_values_fit_their_columns(photos, encode, batch_of):
    files = [encode(p) for p in photos.values()]
    files += [
        encode(photos["coffee"], "JPEG", quality=30),
        encode(np.zeros((720, 1280, 3), np.uint8), "WEBP"),
    ]
    answer = Quality().measure(batch_of(files))
    assert not answer.failures
    assert set(answer.columns) == set(NAMES)
    check_storable(answer)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    kind=st.sampled_from(["noise", "flat", "checker", "half"]),
    mode=st.sampled_from(["RGB", "RGBA", "L", "P"]),
    seed=st.integers(0, 1000),
)
def test_any_small_image_is_measured(encode, batch_of, height, width, kind, mode, seed):
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 4), rng.integers(0, 256, 4), np.uint8)
    if kind == "noise":
        pixels = rng.integers(0, 256, (height, width, 4), np.uint8)
    elif kind == "checker":
        pixels[(np.indices((height, width)).sum(0) % 2).astype(bool)] = 255
    elif kind == "half":
        pixels[: height // 2] = 0
    image = np.asarray(Image.fromarray(pixels).convert(mode))
    answer = Quality().measure(batch_of([encode(image)]))
    assert not answer.failures
    check_storable(answer)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3, 900), (600, 9000)])
def test_extreme_shapes(measure, shape):
    values = measure(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    assert (values["height"], values["width"]) == shape
    assert all(math.isfinite(v) for v in values.values() if isinstance(v, float))


def test_values_do_not_depend_on_the_batch(photos, encode, batch_of):
    files = [encode(p, "JPEG") for p in photos.values()]
    together = Quality().measure(batch_of(files)).columns
    for i, data in enumerate(files):
        alone = Quality().measure(batch_of([data])).columns
        assert {n: c[0] for n, c in alone.items()} == {n: c[i] for n, c in together.items()}


def test_one_bad_record_costs_one_record(photos, encode, batch_of):
    batch = batch_of([encode(photos["coffee"])] * 3)
    views = {view: list(column) for view, column in batch.views.items()}
    for view in Quality.views[1:]:
        views[view][1] = np.zeros((0, 0, 3), np.uint8)
    answer = Quality().measure(Batch(batch.records, views))
    assert list(answer.failures) == [1]
    assert answer.failures[1].reason == Reason.BAD_VALUE
    assert answer.columns["sharpness"][0] == answer.columns["sharpness"][2] > 0
    assert answer.columns["sharpness"][1] is None


@pytest.mark.acceptance("I1")
@pytest.mark.parametrize(("size", "short"), [((800, 511), 511), ((800, 512), 512)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sizes_are_upright(photos, encode, measure, size, short, orientation):
    image = Image.fromarray(photos["coffee"]).resize(size)
    exif = Image.Exif()
    exif[0x0112] = orientation
    values = measure(encode(np.asarray(image), "JPEG", exif=exif))
    width, height = size if orientation == 1 else size[::-1]
    assert (values["width"], values["height"], values["short_side"]) == (width, height, short)
    assert values["aspect"] == pytest.approx(width / height)
    assert values["exif_orientation"] == orientation


def test_header_columns(photos, encode, measure):
    data = encode(photos["astronaut"], "JPEG", quality=80)
    values = measure(data)
    assert values["bytes"] == len(data)
    assert values["bpp"] == pytest.approx(8 * len(data) / 512**2)
    assert values["megapixels"] == pytest.approx(512**2 / 1e6)
    expected = {"format": "jpeg", "mode": "RGB", "icc": "", "jpeg_quality": 80, "lossless": False}
    assert {k: values[k] for k in expected} == expected
    assert measure(photos["astronaut"])["jpeg_quality"] is None


def test_every_format_is_a_declared_word(photos, encode, measure):
    (column,) = (c for c in Quality().writes() if c.name == "format")
    found = {measure(encode(photos["coffee"][:64, :64], f))["format"] for f in sorted(READABLE)}
    assert found == {f.lower() for f in READABLE} <= set(column.values)


@pytest.fixture(scope="module")
def reference():
    path = ROOT / "infra" / "quality_reference.py"
    spec = importlib.util.spec_from_file_location("quality_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_page_is_the_generated_one(reference):
    committed = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", committed, re.M) == [c.name for c in Quality().writes()]
    assert committed == reference.page(), "run python infra/quality_reference.py"
