"""Unusual but good files: kept, and measured as a viewer would show them."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from thresher.operators.base import View
from thresher.operators.views import open_views
from thresher.operators.views.header import read_header

HEADER, DECODED, NATIVE, RGB = View("header"), View("decoded"), View("native"), View("rgb", 512)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.acceptance("C8")
def test_the_content_decides_the_format(photo, save):
    # The decoder never sees a name; ingest hands it a PNG named .jpg as the bytes that it holds.
    for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        assert read_header(save(photo, form)).format == form.lower()


@pytest.mark.acceptance("C8")
def test_one_pixel(photo, save):
    views = open_views(save(photo.crop((0, 0, 1, 1)), "PNG"), [HEADER, DECODED, NATIVE, RGB, View("rgb", 32)])
    assert (views[HEADER].width, views[HEADER].height) == (1, 1)
    assert all(views[v].shape == (1, 1, 3) for v in views if v != HEADER)


@pytest.mark.acceptance("C8")
@pytest.mark.parametrize("value", [0, 9, 65535])
def test_absurd_exif_orientation_counts_as_upright(photo, save, value):
    exif = Image.Exif()
    exif[0x0112] = value
    assert read_header(save(photo, "JPEG", exif=exif)).exif_orientation == 1


@pytest.mark.acceptance("C8")
@pytest.mark.parametrize(
    "block", [b"Exif\x00\x00II*\x00\xff\xff\xff\x7f", b"Exif\x00\x00" + bytes(range(200))]
)
def test_a_garbled_exif_block_never_fails_the_image(photo, save, block):
    views = open_views(save(photo, "JPEG", exif=block), [HEADER, NATIVE])
    assert views[HEADER].exif_orientation == 1
    assert views[NATIVE].shape == (512, 512, 3)


@pytest.mark.acceptance("C8")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_corrupt_icc_profile_is_none(photo, save, form):
    plain = open_views(save(photo, form), [NATIVE])
    bad = open_views(save(photo, form, icc_profile=b"no profile" * 20), [HEADER, NATIVE])
    assert bad[HEADER].icc is None and bad[HEADER].icc_profile is None
    assert np.array_equal(bad[NATIVE], plain[NATIVE])


@pytest.mark.acceptance("C8")
@pytest.mark.parametrize("side", [512, 1100])
def test_cmyk(photo, save, side):
    photo = photo.resize((side, side))
    views = open_views(save(photo.convert("CMYK"), "JPEG", quality=95), [HEADER, DECODED, RGB])
    assert views[HEADER].mode == "CMYK"
    assert difference(views[DECODED], np.asarray(photo)) < 4
    assert difference(views[RGB], np.asarray(photo.resize((512, 512), Image.Resampling.BOX))) < 6


@pytest.mark.acceptance("C8")
def test_16_bit_is_scaled_not_clipped(photo, save):
    grey = np.asarray(photo.convert("L"))
    colour = cv2.imencode(".png", np.asarray(photo)[:, :, ::-1].astype(np.uint16) * 257)[1].tobytes()
    for form in ("PNG", "TIFF"):
        views = open_views(save(grey.astype(np.uint16) * 257, form), [HEADER, DECODED])
        assert views[HEADER].bit_depth == 16
        assert np.array_equal(views[DECODED], np.dstack([grey] * 3))
    views = open_views(colour, [HEADER, DECODED])
    assert views[HEADER].bit_depth == 16
    assert np.array_equal(views[DECODED], np.asarray(photo))


def test_float_and_32_bit_grey_are_scaled(photo, save):
    grey = np.asarray(photo.convert("L"))
    for wide in (grey.astype(np.float32) / 255, grey.astype(np.int32) * 257):
        views = open_views(save(wide, "TIFF"), [HEADER, DECODED])
        assert views[HEADER].bit_depth == 32
        assert difference(views[DECODED][:, :, 0], grey) < 0.6


@pytest.mark.acceptance("C8")
def test_a_palette_with_alpha_lies_over_white(photo, save):
    pixels = np.dstack([np.asarray(photo), np.full((512, 512), 255, np.uint8)])
    pixels[:256, :, 3] = 0
    palette = Image.fromarray(pixels).quantize(128)
    views = open_views(save(palette, "PNG"), [HEADER, DECODED, NATIVE, RGB])
    assert views[HEADER].mode == "P" and views[HEADER].has_alpha
    assert views[DECODED].shape == (512, 512, 4)
    assert (views[NATIVE][:256] == 255).all()
    assert (views[RGB][:250] == 255).all()
    assert difference(views[NATIVE][256:], pixels[256:, :, :3]) < 16


def test_half_transparent_pixels_are_mixed_with_white(save):
    pixels = np.full((8, 8, 4), (100, 0, 200, 128), np.uint8)
    native = open_views(save(pixels, "PNG"), [NATIVE])[NATIVE]
    assert native[0, 0].tolist() == [round((c * 128 + 255 * 127) / 255) for c in (100, 0, 200)]


def test_an_opaque_alpha_channel_is_dropped_from_the_pixels(photo, save):
    views = open_views(save(photo.convert("RGBA"), "PNG"), [HEADER, DECODED])
    assert views[HEADER].has_alpha
    assert views[DECODED].shape == (512, 512, 3)


@pytest.mark.acceptance("C8")
@pytest.mark.parametrize(("form", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})])
def test_animations_give_their_first_frame(photo, save, form, options):
    frames = [photo.quantize(64).convert("RGB"), photo.rotate(90), photo.rotate(180)]
    data = save(frames[0], form, save_all=True, append_images=frames[1:], **options)
    views = open_views(data, [HEADER, DECODED])
    assert views[HEADER].animated and views[HEADER].lossless
    assert difference(views[DECODED][:, :, :3], np.asarray(frames[0])) < 4
    assert not read_header(save(photo, form)).animated


def test_lossless_webp_is_told_from_lossy(photo, save):
    assert read_header(save(photo, "WEBP", lossless=True)).lossless
    assert not read_header(save(photo, "WEBP")).lossless
    assert not read_header(save(photo, "JPEG")).lossless


@pytest.mark.parametrize("quality", [10, 50, 75, 90, 95, 100])
def test_jpeg_quality_is_read_from_the_tables(photo, save, quality):
    assert read_header(save(photo, "JPEG", quality=quality)).jpeg_quality == quality
    assert read_header(save(photo, "PNG")).jpeg_quality is None


@pytest.mark.acceptance("I1")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once_and_sizes_are_upright(photo, save, form, orientation):
    upright = photo.crop((0, 0, 511, 256))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what a camera stores for each orientation
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    views = open_views(save(stored, form, exif=exif), [HEADER, DECODED, RGB])
    header = views[HEADER]
    assert (header.width, header.height) == (511, 256)
    assert (header.stored_width, header.stored_height) == stored.size
    assert header.exif_orientation == orientation
    assert views[RGB].shape == views[DECODED].shape == (256, 511, 3)
    assert difference(views[DECODED], np.asarray(upright)) < 6


def test_an_srgb_profile_changes_nothing_and_another_one_does(photo, save):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    views = open_views(save(photo, "PNG", icc_profile=srgb), [HEADER, DECODED, NATIVE])
    assert "sRGB" in views[HEADER].icc and views[HEADER].icc_profile is None
    assert np.shares_memory(views[DECODED], views[NATIVE])
    # The same bytes with red and blue primaries exchanged: colours must change, decoded must not.
    at = {tag: srgb.index(tag, 128) for tag in (b"rXYZ", b"bXYZ")}
    swapped = bytearray(srgb)
    swapped[at[b"rXYZ"] : at[b"rXYZ"] + 4], swapped[at[b"bXYZ"] : at[b"bXYZ"] + 4] = b"bXYZ", b"rXYZ"
    other = open_views(save(photo, "PNG", icc_profile=bytes(swapped)), [HEADER, DECODED, NATIVE])
    assert other[HEADER].icc_profile == bytes(swapped)
    assert np.array_equal(other[DECODED], views[DECODED])
    assert difference(other[NATIVE], views[NATIVE][:, :, ::-1]) < 2
