"""Layout: frames, bars, several pictures in one, empty areas, text. All read the `rgb(512)` view."""

import cv2
import numpy as np

from thresher.operators.views.margins import STEP_LEVELS, STEP_SHARE

TILE = 16
FLAT_STD = 2.0
_ABOVE_TEXTURE, _ABOVE_NEIGHBOUR = 0.25, 0.08
"""By how much a step's share of jumping pixels exceeds the median and the greatest share beside it."""
_STROKE = 9
"""Strokes are at most 8 px wide at 512 px short side."""
_STROKE_LEVELS = 40
_GROUND_LEVELS = 24
_RULE = 41
"""Straight runs this long are rules, wires or joints, not letters."""


def border(box: tuple[int, int, int, int], width: int, height: int) -> float:
    """The widest side of a `trim_box` of a picture of width x height px, as share of that side, 0-0.5."""
    left, top, right, bottom = box
    return max(left / width, right / width, top / height, bottom / height)


def letterbox(box: tuple[int, int, int, int], shape: tuple[int, ...], width: int, height: int) -> list[int]:
    """A `trim_box` of an array of `shape`, in px of the upright image: [left, top, right, bottom]."""
    scales = (width / shape[1], height / shape[0]) * 2
    return [round(side * scale) for side, scale in zip(box, scales, strict=True)]


def uniform_tiles(luma: np.ndarray) -> float:
    """Share of the 16 x 16 px tiles of uint8 (h, w) `luma` with a standard deviation below 2 levels."""
    rows, cols = max(1, luma.shape[0] // TILE), max(1, luma.shape[1] // TILE)
    whole = luma[: rows * TILE, : cols * TILE].astype(np.float32)
    mean, square = (cv2.resize(p, (cols, rows), interpolation=cv2.INTER_AREA) for p in (whole, whole * whole))
    return float((square - mean * mean < FLAT_STD**2).mean())


def collage(rgb: np.ndarray, box: tuple[int, int, int, int]) -> int:
    """Number of straight steps through the whole width or height of uint8 (h, w, 3), inside `box`.

    A line is a step where some channel of 80 % of its pixels jumps by 8 levels, while the lines
    beside it have no such jumps (textures jump everywhere); a plain gutter with its two edges is one.
    Photographs give 0, two of them side by side at least 1 (98 of 100, measured), a grid of four 2.
    """
    left, top, right, bottom = box
    inner = np.ascontiguousarray(rgb[top : rgb.shape[0] - bottom, left : rgb.shape[1] - right])
    return _steps(inner) + _steps(cv2.transpose(inner))


def _steps(rgb: np.ndarray) -> int:
    """Straight steps between the rows of `rgb`."""
    height, width = rgb.shape[:2]
    edge = max(8, height // 20)
    if height < 4 * edge or width < 32:
        return 0
    # Two rows apart: a resize leaves one blended row between two pictures.
    red, green, blue = cv2.split(_at_least(cv2.absdiff(rgb[2:], rgb[:-2]), STEP_LEVELS))
    jumps = cv2.bitwise_or(cv2.bitwise_or(red, green), blue)
    share = cv2.reduce(jumps, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0] / width
    strong = [int(y) for y in np.flatnonzero(share >= STEP_SHARE) if edge <= y < height - edge]
    count, last = 0, -height
    for y in strong:
        if y - last <= edge:
            continue
        before, after = share[max(0, y - 12) : y - 3], share[y + 4 : y + 13]
        beside = np.concatenate([before, after])
        if share[y] - np.median(beside) < _ABOVE_TEXTURE:
            continue
        gutter = any(_is_gutter(rgb[y : other + 2]) for other in strong if 3 <= other - y <= edge)
        if gutter or share[y] - beside.max() >= _ABOVE_NEIGHBOUR:
            count, last = count + 1, y
    return count


def _is_gutter(rows: np.ndarray) -> bool:
    """Whether the middle one of `rows` has one colour (95 % of it within 12 levels)."""
    line = rows[len(rows) // 2].astype(np.int16)
    off = np.abs(line - np.median(line, axis=0)).max(axis=1)
    return bool((off <= 12).mean() >= 0.95)


def text_like(luma: np.ndarray) -> float:
    """Stroke density: share of pixels in thin strokes on even ground, 0-1; uint8 (h, w) -> share.

    A stroke is at most 8 px wide and 40 levels darker or lighter than the ground that remains when
    it is closed (opened) away; that ground varies by less than 24 levels around it; and it is no
    straight run of 41 px. Printed pages give 0.05 to 0.3, most photographs below 0.02.
    """
    kernel = np.ones((_STROKE, _STROKE), np.uint8)
    around = np.ones((2 * _STROKE + 1, 2 * _STROKE + 1), np.uint8)
    strokes = np.zeros_like(luma)
    for picture in (luma, cv2.bitwise_not(luma)):
        ground = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, kernel)
        stroke = _at_least(cv2.subtract(ground, picture), _STROKE_LEVELS)
        if not cv2.countNonZero(stroke):
            continue
        for rule in ((1, _RULE), (_RULE, 1)):
            straight = cv2.morphologyEx(stroke, cv2.MORPH_OPEN, np.ones(rule, np.uint8))
            stroke = cv2.subtract(stroke, straight)
        uneven = _at_least(cv2.morphologyEx(ground, cv2.MORPH_GRADIENT, around), _GROUND_LEVELS)
        strokes = cv2.bitwise_or(strokes, cv2.subtract(stroke, uneven))
    return cv2.countNonZero(strokes) / luma.size


def _at_least(plane: np.ndarray, level: int) -> np.ndarray:
    """1 where `plane` reaches `level`, else 0; uint8."""
    return cv2.threshold(plane, level - 1, 1, cv2.THRESH_BINARY)[1]
