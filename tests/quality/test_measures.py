"""What the single measures answer on real photographs and planted faults."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont


def resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def framed(pixels: np.ndarray, level: int, share: float) -> np.ndarray:
    """With a frame of `share` of the result's width and height."""
    height, width = pixels.shape[:2]
    x, y = (round(side * share / (1 - 2 * share)) for side in (width, height))
    return cv2.copyMakeBorder(pixels, y, y, x, x, cv2.BORDER_CONSTANT, value=(level,) * 3)


@pytest.mark.acceptance("I4")
def test_heavier_jpeg_means_fewer_bits_and_more_blocks(photos, encode, measure):
    for name in ("astronaut", "coffee", "chelsea"):
        rows = [measure(encode(photos[name], "JPEG", quality=q)) for q in (95, 75, 50, 25, 10)]
        bpp, blocks = ([row[column] for row in rows] for column in ("bpp", "blockiness"))
        assert bpp == sorted(bpp, reverse=True) and len(set(bpp)) == 5, name
        assert blocks == sorted(blocks) and len(set(blocks)) == 5, name
        assert blocks[0] < 1.2 and blocks[-1] > 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_blocks_are_found_in_turned_pictures(photos, encode, measure, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    crop = photos["coffee"][:396, :597]
    assert measure(encode(crop, "JPEG", quality=10, exif=exif))["blockiness"] > 1.8


@pytest.mark.acceptance("I5")
def test_sharpness_falls_under_blur(photos, measure):
    for name in ("astronaut", "coffee", "retina"):
        pixels = photos[name]
        blurred = [cv2.GaussianBlur(pixels, (0, 0), sigma) for sigma in (1, 2, 4)]
        values = [measure(p)["sharpness"] for p in (pixels, *blurred)]
        assert values == sorted(values, reverse=True) and len(set(values)) == 4, name
        assert values[-1] < values[0] / 2


@pytest.mark.acceptance("I5")
def test_sharpness_hardly_moves_when_a_photo_is_halved(photos, measure):
    tiles = [resize(photos[n], 640, 640) for n in ("astronaut", "hubble_deep_field", "rocket", "coffee")]
    mosaic = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    large = cv2.resize(photos["hubble_deep_field"], (2300, 2006), interpolation=cv2.INTER_CUBIC)
    for pixels in (photos["retina"], mosaic, large):
        height, width = pixels.shape[:2]
        assert min(height, width) >= 1024
        full = measure(pixels)["sharpness"]
        half = measure(resize(pixels, width // 2, height // 2))["sharpness"]
        assert abs(half / full - 1) < 0.1


def test_sharpness_is_the_documented_formula(photos, measure):
    luma = cv2.cvtColor(photos["hubble_deep_field"], cv2.COLOR_RGB2GRAY).astype(np.float32)
    factor = 256 / 872
    smooth = cv2.GaussianBlur(luma, (0, 0), np.sqrt((0.5 / factor) ** 2 - 0.25))
    small = cv2.resize(smooth, (round(1000 * factor), 256), interpolation=cv2.INTER_LINEAR)
    inner = small[1:-1, 1:-1] * -4 + small[:-2, 1:-1] + small[2:, 1:-1] + small[1:-1, :-2] + small[1:-1, 2:]
    assert measure(photos["hubble_deep_field"])["sharpness"] == pytest.approx(inner.var(), rel=0.03)


def test_focus_falls_under_blur_and_not_with_contrast(photos, measure):
    sharp = measure(photos["coffee"])["focus"]
    assert measure(cv2.GaussianBlur(photos["coffee"], (0, 0), 2))["focus"] < sharp / 4
    faint = (photos["coffee"] // 2 + 60).astype(np.uint8)
    assert measure(faint)["focus"] == pytest.approx(sharp, rel=0.1)


@pytest.mark.acceptance("I6")
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_tenth_of_frame_is_a_border_and_a_bare_photo_has_none(photos, encode, measure, form):
    for name, pixels in photos.items():
        assert measure(encode(pixels, form))["border"] == 0, name
        values = measure(encode(framed(pixels, 255, 0.1), form))
        assert values["border"] == pytest.approx(0.1, abs=0.01), name
        # All four sides, though a wide frame fills nearly half of every line.
        assert min(measure(encode(framed(pixels, 255, 0.2), form))["letterbox"]) > 0, name


@pytest.mark.acceptance("I6")
def test_a_night_sky_is_no_border(photos, measure):
    rng = np.random.default_rng(3)
    sky = np.zeros((600, 900, 3), np.uint8)
    ridge = 380 + (60 * np.sin(np.arange(900) / 70)).astype(int)
    for x, top in enumerate(ridge):
        sky[top:, x] = rng.integers(30, 120, (600 - top, 1))
    dusk = np.clip(np.arange(600)[:, None] / 8 - 20, 0, 60).astype(np.uint8)
    dusk = np.repeat(np.repeat(dusk, 900, axis=1)[:, :, None], 3, axis=2)
    for pixels in (sky, dusk, photos["rocket"], photos["hubble_deep_field"]):
        values = measure(pixels)
        assert values["border"] == 0
        assert values["letterbox"] == [0, 0, 0, 0]


def test_letterbox_is_in_pixels_of_the_image(photos, encode, measure):
    pixels = resize(photos["chelsea"], 1600, 900)
    tall = cv2.copyMakeBorder(pixels, 150, 90, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    left, top, right, bottom = measure(encode(tall, "JPEG"))["letterbox"]
    assert (left, right) == (0, 0)
    assert abs(top - 150) <= 4 and abs(bottom - 90) <= 4


def test_photos_are_no_collages(photos, encode, measure):
    assert [measure(encode(p, "JPEG", quality=q))["collage"] for p in photos.values() for q in (60, 95)] == [
        0
    ] * 12


@pytest.mark.parametrize("gutter", [0, 12])
def test_planted_collages_are_found(photos, encode, measure, gutter):
    tiles = {name: resize(p, 480, 600) for name, p in photos.items()}
    for first, second in [("astronaut", "coffee"), ("chelsea", "hubble_deep_field"), ("retina", "chelsea")]:
        bar = np.full((600, gutter, 3), 255, np.uint8)
        pair = np.hstack([tiles[first], bar, tiles[second]])
        assert measure(encode(pair, "JPEG"))["collage"] == 1
        assert measure(encode(pair.transpose(1, 0, 2), "JPEG"))["collage"] == 1
        assert measure(encode(framed(pair, 255, 0.05), "JPEG"))["collage"] == 1
        other = np.hstack([tiles[second], bar, tiles[first]])
        assert measure(encode(np.vstack([pair, other]), "JPEG"))["collage"] == 2


def test_pages_and_screenshots_have_strokes_and_photos_few(photos, measure):
    from skimage import data

    image = Image.new("RGB", (1000, 700), (245, 245, 245))
    draw = ImageDraw.Draw(image)
    for line in range(30):
        draw.text((20, 12 + 22 * line), "all work and no play " * 5, (20, 20, 20), ImageFont.load_default(16))
    for text in (data.page(), np.asarray(image), 255 - np.asarray(image)):
        assert measure(text)["text_like"] > 0.05
    assert all(measure(p)["text_like"] < 0.03 for p in photos.values())


def test_enlarged_pictures_lack_fine_detail(photos, measure):
    for name in ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field"):
        pixels = photos[name]
        twice = cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        assert measure(pixels)["upscaled"] < 1.2, name
        assert measure(twice)["upscaled"] > 1.6, name


def test_noise_is_measured_in_levels(measure):
    rng = np.random.default_rng(0)
    ramp = np.linspace(60, 190, 512)[None, :].repeat(512, axis=0)
    for sigma in (4, 12):
        grey = np.clip(ramp + rng.normal(0, sigma, ramp.shape), 0, 255).astype(np.uint8)
        assert measure(grey)["noise"] == pytest.approx(sigma, rel=0.12)


def test_exposure_and_colour(measure):
    black = measure(np.zeros((300, 400, 3), np.uint8))
    assert (black["clip_low"], black["clip_high"], black["entropy"], black["dynamic_range"]) == (1, 0, 0, 0)
    assert black["uniform_tiles"] == 1 and black["is_gray"] and black["sharpness"] == 0
    white = measure(np.full((300, 400, 3), 255, np.uint8))
    assert white["clip_high"] == 1 and white["luma_mean"] == 255
    red = measure(np.full((300, 400, 3), (255, 0, 0), np.uint8))
    assert red["saturation"] == 1 and not red["is_gray"]
    assert red["luma_mean"] == pytest.approx(0.299 * 255, abs=1)
    halves = np.zeros((256, 256, 3), np.uint8)
    halves[:, 128:] = 200
    values = measure(halves)
    assert values["entropy"] == pytest.approx(1)
    assert (values["luma_mean"], values["luma_std"], values["dynamic_range"]) == (100, 100, 200)


def test_colorfulness_is_hasler_and_suesstrunk(photos, measure):
    red, green, blue = photos["astronaut"].astype(float).transpose(2, 0, 1)
    rg, yb = red - green, (red + green) / 2 - blue
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert measure(photos["astronaut"])["colorfulness"] == pytest.approx(expected, rel=1e-3)


def test_grey_photos_are_gray_even_as_jpeg(photos, encode, measure):
    grey = cv2.cvtColor(cv2.cvtColor(photos["coffee"], cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert measure(encode(grey, "JPEG"))["is_gray"]
    assert not measure(photos["coffee"])["is_gray"]


def test_transparency_is_counted_and_lies_over_white(measure):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:16, :, 3] = 255
    values = measure(pixels)
    assert values["alpha_share"] == pytest.approx(0.75)
    assert values["clip_high"] == pytest.approx(0.75)
    assert values["has_alpha"]
