"""The Frechet Wavelet Distance is what its description says: of sets, and only of sets large enough."""

import cv2
import numpy as np
import pytest

from thresher.operators.aigc import fwd as of
from thresher.schemas.errors import ThresherError


def moments(pictures):
    return of.Moments.of([of.tiles(pixels) for pixels in pictures])


def crops(files, count, seed, side=64):
    """Crops of the test's photographs, in other light."""
    rng = np.random.default_rng(seed)
    photos = list(files.pixels.values())
    for _ in range(count):
        photo = photos[rng.integers(len(photos))]
        y, x = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
        light = rng.uniform(0.6, 1.1, 3)
        yield (photo[y : y + side, x : x + side] * light).clip(0, 255).astype(np.uint8)


def clouds(count, seed, slope, side=128):
    """Noise whose amplitude falls as frequency^slope, one law for each slope."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    fall = np.where(radius > 0, np.maximum(radius, 1e-9) ** slope, 0)[..., None]
    for _ in range(count):
        waves = np.fft.rfft2(rng.normal(size=(side, side, 3)), axes=(0, 1)) * fall
        noise = np.fft.irfft2(waves, (side, side), axes=(0, 1))
        yield (128 + 30 * noise / noise.std()).clip(0, 255).astype(np.uint8)


def test_the_packets_are_those_of_haar(files):
    """Four steps of the 2x2 transform, each on all that the one before gave."""
    found = np.stack(list(crops(files, 3, 0)))
    levels = [found / 255.0]
    for _ in range(of.LEVELS):
        quarters = [(x[:, 0::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]) for x in levels]
        signs = ((1, 1, 1, 1), (1, -1, 1, -1), (1, 1, -1, -1), (1, -1, -1, 1))
        levels = [
            sum(s * q for s, q in zip(sign, four, strict=True)) / 2 for four in quarters for sign in signs
        ]
    packets = of.packets(found)
    assert packets.shape == (of.PACKETS, 3, of.DIMENSION) == (256, 3, 48)
    np.testing.assert_allclose(
        sorted((packets**2).sum((1, 2))), sorted((x**2).sum() for x in levels), rtol=1e-9
    )
    columns = np.broadcast_to((np.arange(64) % 2 * 255).astype(np.uint8)[None, :, None], (1, 64, 64, 3))
    assert set(np.flatnonzero((of.packets(columns) ** 2).sum((1, 2)) > 1e-9)) == {0, 15}
    assert of.BANDS[of.bands()[15]] == "2 px" and np.bincount(of.bands()).tolist() == [1, 3, 12, 48, 189, 3]


def test_tiles_lie_on_the_grid_of_jpeg():
    y, x = np.mgrid[0:300, 0:203]
    pixels = np.stack([y % 16, x % 16, y // 16], axis=2).astype(np.uint8)
    found = of.tiles(pixels)
    assert found.shape == (12, 64, 64, 3) and not found[:, 0, 0, :2].any()
    assert of.tiles(pixels[:64, :64]).shape == (1, 64, 64, 3)


def test_moments_of_parts_add_up(files):
    pictures = list(crops(files, 30, 1, 128))
    whole = moments(pictures)
    parts = of.Moments.none() + moments(pictures[:7]) + moments(pictures[7:])
    assert parts.count == 30
    np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-12)
    np.testing.assert_allclose(parts.scatter, whole.scatter, atol=1e-10)
    values = of.packets(np.concatenate([of.tiles(p)[:1] for p in pictures]))[20]
    one = of.Moments.of([of.tiles(p)[:1] for p in pictures])
    np.testing.assert_allclose(one.scatter[20] / 29, np.cov(values.T), atol=1e-12)


@pytest.mark.acceptance("I14")
def test_a_set_is_at_no_distance_from_itself(files):
    whole = moments(crops(files, of.LEAST, 2))
    assert 0 <= of.fwd(whole, whole).max() < 1e-6
    flat = moments([np.zeros((64, 64, 3), np.uint8)] * of.LEAST)
    assert of.fwd(flat, flat).max() == 0


@pytest.mark.acceptance("I14")
def test_too_few_pictures_are_refused_with_the_number_needed(files):
    enough = moments(crops(files, of.LEAST, 3))
    few = moments(crops(files, of.LEAST - 1, 3))
    assert of.LEAST == 4 * of.DIMENSION == 192
    for pair in ((few, few), (enough, few)):
        with pytest.raises(ThresherError, match=r"cannot be compared.*at least 192"):
            of.fwd(*pair)


@pytest.mark.acceptance("I14")
def test_blur_moves_the_high_packets_most(files):
    """Energy-divided; undivided, the lower bands would hide it."""
    pictures = list(crops(files, of.LEAST, 4))
    sharp, blurred = moments(pictures), moments([cv2.GaussianBlur(p, (0, 0), 1) for p in pictures])
    moved = of.fwd(sharp, blurred)
    bands = list(of.by_band(moved).values())
    assert bands[:5] == sorted(bands[:5]) and bands[4] > 0.4 > 100 * bands[0]
    plain = of.by_band(moved * sharp.energy())
    assert max(plain, key=lambda band: plain[band]) == "4 to 8 px"


def test_a_slope_stands_out_above_the_split_half_null():
    first, second, third = (moments(clouds(of.LEAST, seed, -1.0)) for seed in (1, 2, 3))
    null = of.fwd(first, second).mean()
    same, other = (of.fwd(first, x).mean() - null for x in (third, moments(clouds(of.LEAST, 3, -1.1))))
    assert abs(same) < 0.1 * null and other > 0.5 * null


def test_a_flat_reference_gives_no_boundless_numbers():
    """Its packets have no energy but the rounding of sums, 1e-32."""
    rng = np.random.default_rng(0)
    flat = [np.full((1, 64, 64, 3), 128, np.uint8)] * of.LEAST
    noise = [rng.integers(126, 131, (1, 64, 64, 3), np.uint8) for _ in range(of.LEAST)]
    found = of.fwd(of.Moments.of(flat), of.Moments.of(noise))
    assert np.isfinite(found).all() and 1 < found[-1] < 1000
