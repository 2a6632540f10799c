"""Noise, JPEG blocks, enlargement and compressibility."""

from functools import cache

import cv2
import numpy as np
import simplejpeg

CROP = 512
"""Native measures read the centre crop of at most this size."""
_WINDOW = 256
_FLIPPED_X, _FLIPPED_Y = (2, 3, 6, 7), (3, 4, 7, 8)
"""EXIF orientations whose upright picture starts at the stored one's right or lower end."""


def centre_crop(luma: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The native centre crop of at most 512 x 512 px, and where it starts: (crop, x, y)."""
    height, width = luma.shape
    y, x = max(0, (height - CROP) // 2), max(0, (width - CROP) // 2)
    return np.ascontiguousarray(luma[y : y + CROP, x : x + CROP]), x, y


def noise(crop: np.ndarray) -> float:
    """Noise in levels: median of |HH| / 0.6745 over the diagonal Haar band of `crop`, uint8 (h, w)."""
    height, width = (side // 2 * 2 for side in crop.shape)
    if not height or not width:
        return 0.0
    c = crop[:height, :width].astype(np.int16)
    twice = (c[::2, ::2] - c[::2, 1::2]) - (c[1::2, ::2] - c[1::2, 1::2])
    return float(np.median(np.abs(twice))) / 2 / 0.6745


def blockiness(crop: np.ndarray, x: int, y: int, width: int, height: int, orientation: int) -> float:
    """Mean jump between neighbours across the 8-px grid of JPEG over the mean jump off it.

    `crop` uint8 (h, w) starts at (x, y) of an upright picture of width x height px. 1 = no blocks.
    A turned picture's grid starts at its far end. 0.05 levels are added to both means, so that flat
    pictures give 1.
    """
    starts = (
        (width if orientation in _FLIPPED_X else 0) - x,
        (height if orientation in _FLIPPED_Y else 0) - y,
    )
    on: list[np.ndarray] = []
    off: list[np.ndarray] = []
    for axis, start in enumerate(starts):
        lines = crop if axis == 0 else crop.T
        if lines.shape[1] < 2:
            continue
        jumps = np.abs(np.diff(lines.astype(np.int16), axis=1)).mean(axis=0)
        grid = (np.arange(1, lines.shape[1]) - start) % 8 == 0
        on.append(jumps[grid])
        off.append(jumps[~grid])
    if not any(len(a) for a in on) or not any(len(a) for a in off):
        return 1.0
    return float((np.concatenate(on).mean() + 0.05) / (np.concatenate(off).mean() + 0.05))


def upscaled(crop: np.ndarray) -> float:
    """How far the finest detail lies below a natural spectrum, in decades (factors of ten), 0-6.

    log10 of the energy above 0.35 cycles/px that a 1/f^2 law, fitted between 0.05 and 0.15, predicts
    over the energy that is there, in the central 256 px of the native crop, uint8 (h, w), under a
    Hann window. 15 photographs give 0 to 1.3, enlarged twice (cubic) 1.7 to 2.3, measured.
    """
    side = min(_WINDOW, *crop.shape)
    if side < 32:
        return 0.0
    hann, falloff, fitted, fine = _bands(side)
    top, left = (crop.shape[0] - side) // 2, (crop.shape[1] - side) // 2
    window = crop[top : top + side, left : left + side].astype(np.float32)
    spectrum = cv2.dft((window - window.mean()) * hann, flags=cv2.DFT_COMPLEX_OUTPUT)
    power = cv2.transform(spectrum * spectrum, np.ones((1, 2), np.float32))
    predicted = float((power * fitted).sum(dtype=np.float64)) / float((falloff * fitted).sum())
    predicted *= float((falloff * fine).sum())
    found = float((power * fine).sum(dtype=np.float64))
    if predicted <= 0:
        return 0.0
    return float(np.clip(np.log10(predicted / max(found, predicted * 1e-6)), 0, 6))


@cache
def _bands(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hann window, 1/f^2 law, and the masks of the fitted and the fine frequencies; (side, side)."""
    axis = np.fft.fftfreq(side)
    frequency = np.hypot(axis[:, None], axis[None, :])
    falloff = 1 / np.maximum(frequency, 1 / side) ** 2
    fitted = (frequency >= 0.05) & (frequency < 0.15)
    fine = (frequency >= 0.35) & (frequency <= 0.5)
    hann = np.hanning(side)
    return tuple(a.astype(np.float32) for a in (np.outer(hann, hann), falloff, fitted, fine))  # type: ignore[return-value]


def jpeg_bpp(rgb: np.ndarray) -> float:
    """Bits for each pixel of a JPEG of quality 75 (4:2:0) of the `rgb(512)` view, uint8 (h, w, 3)."""
    coded = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=75, colorsubsampling="420")
    return 8 * len(coded) / (rgb.shape[0] * rgb.shape[1])
