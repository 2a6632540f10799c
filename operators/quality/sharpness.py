"""Sharpness, focus and texture."""

import cv2
import numpy as np

SHORT_SIDE = 256
"""Sharpness is taken at this size, so that equal pictures of unequal size agree."""
_PRE_REDUCED = 512
"""A whole-number area reduction comes first and leaves a short side of at least this."""


def sharpness(luma: np.ndarray) -> float:
    """Variance of the 3 x 3 Laplacian at 256 px short side; uint8 (h, w) native luma -> levels^2.

    With f = 256 / short side (at most 1): a Gaussian of sigma sqrt((0.5 / f)^2 - 0.25), then a
    bilinear reduction. A large picture is first reduced by a whole number with an area filter; the
    same formula at the reduced size then also makes up for the blur of that filter.
    """
    k = max(1, min(luma.shape) // _PRE_REDUCED)
    if k > 1:
        rows, cols = (side // k for side in luma.shape)
        luma = cv2.resize(luma[: rows * k, : cols * k], (cols, rows), interpolation=cv2.INTER_AREA)
    height, width = luma.shape
    small = luma.astype(np.float32)
    factor = SHORT_SIDE / min(height, width)
    if factor < 1:
        small = cv2.GaussianBlur(small, (0, 0), np.sqrt((0.5 / factor) ** 2 - 0.25))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    return _variance(cv2.Laplacian(small, cv2.CV_32F, ksize=1))


def focus(crop: np.ndarray) -> float:
    """Laplacian variance over luma variance of the native centre crop, uint8 (h, w); 0 if it is flat."""
    contrast = _variance(crop)
    return _variance(cv2.Laplacian(crop, cv2.CV_16S, ksize=1)) / contrast if contrast > 0 else 0.0


def texture(luma: np.ndarray) -> float:
    """Mean squared step to the right plus that to the pixel below; uint8 (h, w) -> levels^2."""
    energy = 0.0
    for a, b in ((luma[:, 1:], luma[:, :-1]), (luma[1:], luma[:-1])):
        if a.size:
            energy += float(cv2.norm(a, b, cv2.NORM_L2SQR)) / a.size
    return energy


def _variance(plane: np.ndarray) -> float:
    return float(cv2.meanStdDev(plane)[1][0, 0]) ** 2
