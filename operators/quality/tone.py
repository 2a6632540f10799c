"""Exposure and colour, from histograms of the `rgb(512)` view."""

from typing import Any

import cv2
import numpy as np

CLIP_LOW, CLIP_HIGH = 4, 251
GRAY_SPREAD = 6


def luma_values(luma: np.ndarray) -> dict[str, Any]:
    """Brightness, contrast and entropy of `luma`, uint8 (h, w).

    luma_mean, luma_std  levels
    clip_low, clip_high  share of pixels <= 4, >= 251
    dynamic_range        99th minus 1st percentile, levels
    entropy              Shannon entropy of the 256-bin histogram, bits
    """
    histogram = _histogram(luma)
    share = histogram / histogram.sum()
    levels = np.arange(256)
    mean = float(share @ levels)
    present = share[share > 0]
    return {
        "luma_mean": mean,
        "luma_std": float(np.sqrt(share @ (levels - mean) ** 2)),
        "clip_low": float(share[: CLIP_LOW + 1].sum()),
        "clip_high": float(share[CLIP_HIGH:].sum()),
        "dynamic_range": float(_percentile(share, 0.99) - _percentile(share, 0.01)),
        "entropy": max(0.0, float(-(present * np.log2(present)).sum())),
    }


def colour_values(rgb: np.ndarray) -> dict[str, Any]:
    """Colour of `rgb`, uint8 (h, w, 3).

    saturation, saturation_p99  mean and 99th percentile of HSV S = (max - min) / max, 0-1
    is_gray                     99th percentile of max - min over the channels below 6 levels
    colorfulness                Hasler and Suesstrunk 2003: with rg = R - G and yb = (R + G) / 2 - B,
                                sqrt(var rg + var yb) + 0.3 sqrt(mean rg^2 + mean yb^2)
    """
    red, green, blue = cv2.split(rgb)
    highest = cv2.max(cv2.max(red, green), blue)
    spread = cv2.subtract(highest, cv2.min(cv2.min(red, green), blue))
    spreads = _histogram(spread)
    # Division by zero gives 0 for integers: black has no saturation.
    saturation = _histogram(cv2.divide(spread, highest, scale=255))
    saturation = saturation / saturation.sum()
    return {
        "saturation": min(1.0, float(saturation @ np.arange(256)) / 255),
        "saturation_p99": float(_percentile(saturation, 0.99)) / 255,
        "is_gray": bool(_percentile(spreads / spreads.sum(), 0.99) < GRAY_SPREAD),
        "colorfulness": _colorfulness(red, green, blue),
    }


def _colorfulness(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> float:
    red_green = cv2.subtract(red, green, dtype=cv2.CV_16S)
    twice_yellow_blue = cv2.subtract(
        cv2.add(red, green, dtype=cv2.CV_16S), cv2.add(blue, blue, dtype=cv2.CV_16S)
    )
    mean_rg, std_rg = (float(v[0, 0]) for v in cv2.meanStdDev(red_green))
    mean_yb, std_yb = (float(v[0, 0]) / 2 for v in cv2.meanStdDev(twice_yellow_blue))
    return float(np.hypot(std_rg, std_yb) + 0.3 * np.hypot(mean_rg, mean_yb))


def _histogram(plane: np.ndarray) -> np.ndarray:
    """Counts of the 256 levels of a uint8 (h, w) plane; float64."""
    counts = cv2.calcHist([plane], [0], None, [256], [0, 256])
    return counts[:, 0].astype(np.float64)


def _percentile(share: np.ndarray, q: float) -> int:
    """The least level up to which at least the share `q` of the pixels lies."""
    return int(np.searchsorted(np.cumsum(share), q - 1e-9))
