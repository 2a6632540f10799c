"""Files that cannot be decoded: each has its own reason."""

import struct
import tracemalloc

import pytest

from thresher.operators.base import View
from thresher.operators.views import MediaError, open_views
from thresher.operators.views.header import MAX_PIXELS, read_header
from thresher.schemas import Reason

VIEWS = [View("header"), View("rgb", 512), View("native"), View("decoded")]


def reason_of(data: bytes) -> Reason:
    with pytest.raises(MediaError) as caught:
        open_views(data, VIEWS)
    assert caught.value.message
    return caught.value.reason


@pytest.mark.acceptance("C8")
@pytest.mark.parametrize(
    "data", [b"This is a note, not a photograph.", b"<!DOCTYPE html><html></html>", b"x", b"BMW is a maker"]
)
def test_text_is_no_medium(data):
    assert reason_of(data) == Reason.NOT_MEDIA


@pytest.mark.acceptance("C8")
def test_empty_file():
    assert reason_of(b"") == Reason.EMPTY_FILE


@pytest.mark.acceptance("C8")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.99, 0.5, 0.05])
def test_truncated_files(photo, save, form, share):
    data = save(photo.resize((256, 256)), form)
    assert reason_of(data[: int(len(data) * share)]) == Reason.TRUNCATED


@pytest.mark.acceptance("C8")
def test_a_jpeg_without_its_last_marker_and_one_of_20_bytes_are_truncated(photo, save):
    data = save(photo, "JPEG")
    assert reason_of(data[:-2]) == Reason.TRUNCATED
    assert reason_of(data[:20]) == Reason.TRUNCATED


@pytest.mark.acceptance("C8")
def test_a_large_truncated_jpeg_fails_for_every_view_of_pixels(photo, save):
    data = save(photo.resize((2100, 1500)), "JPEG")
    for view in VIEWS[1:]:
        with pytest.raises(MediaError) as caught:
            open_views(data[:-5000], [view])
        assert caught.value.reason == Reason.TRUNCATED


@pytest.mark.acceptance("I2")
@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_a_wrong_check_sum_is_corrupt(photo, save, kind):
    data = bytearray(save(photo, "PNG"))
    at = data.index(kind)
    (length,) = struct.unpack(">I", data[at - 4 : at])
    data[at + 4 + length] ^= 0xFF
    assert reason_of(bytes(data)) == Reason.CORRUPT


@pytest.mark.acceptance("I2")
def test_each_kind_of_broken_file_has_its_own_reason(photo, save, png_of):
    jpeg, png = save(photo, "JPEG"), bytearray(save(photo, "PNG"))
    png[-5] ^= 0xFF
    reasons = [reason_of(bytes(d)) for d in (jpeg[: len(jpeg) // 2], png, b"\xff", png_of(30_000, 30_000))]
    assert reasons == [Reason.TRUNCATED, Reason.CORRUPT, Reason.NOT_MEDIA, Reason.TOO_MANY_PIXELS]


def test_a_jpeg_whose_data_do_not_fit_its_picture_is_corrupt(photo, save):
    data = save(photo, "JPEG", quality=90)
    assert reason_of(data[:-2] + bytes(100) + data[-2:]) == Reason.CORRUPT


@pytest.mark.acceptance("C8")
@pytest.mark.parametrize("size", [(30_000, 30_000), (MAX_PIXELS // 100 + 1, 100)])
def test_a_bomb_is_refused_from_its_header_without_pixel_memory(png_of, size):
    data = png_of(*size)
    tracemalloc.start()
    try:
        assert reason_of(data) == Reason.TOO_MANY_PIXELS
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_itself_is_read(png_of):
    assert read_header(png_of(MAX_PIXELS // 100, 100)).pixels == MAX_PIXELS


@pytest.mark.parametrize(
    "data", [b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40), b"\xff\x0a" + bytes(40)]
)
def test_a_missing_plug_in_is_named(data):
    for module in ("pillow_heif", "pillow_jxl"):
        try:
            __import__(module)
        except ImportError:
            continue
        pytest.skip(f"{module} is installed")
    with pytest.raises(MediaError, match=r"thresher\[formats\]") as caught:
        read_header(data)
    assert caught.value.reason == Reason.NO_DECODER
