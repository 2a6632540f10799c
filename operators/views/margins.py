"""The margin trim: uniform bars and frames around a picture, for quality and for hashing alike."""

import cv2
import numpy as np

LEVEL_TOLERANCE = 4
"""A pixel belongs to the margin within 4 levels of its colour (two standard deviations of 2)."""
UNIFORM_SHARE = 0.98
"""Share of a line's pixels that must belong to the margin."""
STEP_LEVELS = 8
STEP_SHARE = 0.8
"""A margin ends in a straight step: 80 % of a line's pixels jump by 8 levels. Night skies do not."""
PAIR_SHARE = 0.4
"""Bars come in pairs: where the opposite side has one of this colour, dark scenes may hide more."""
RINGING = 9
"""Lines between the last uniform one and the step: a JPEG block rings over 8, a resize blends 1."""
MIN_LINES = 2


def trim_box(rgb: np.ndarray) -> tuple[int, int, int, int]:
    """Pixels of uniform margin at the (left, top, right, bottom) of `rgb`, uint8 (h, w, 3).

    A side's margin is the run of lines from the edge whose pixels (98 % of them) lie within 4 levels
    of the outermost line's median colour, ending in a straight step of at least 8 levels over 80 % of
    the line (40 % where the opposite side has a margin of this colour). Zero where there is none; less
    than half of the side, so that no image is trimmed away and a uniform one gives (0, 0, 0, 0).
    """
    # Each side as an array whose row 0 is that side's outermost line.
    sides = (rgb.transpose(1, 0, 2), rgb, rgb[:, ::-1].transpose(1, 0, 2), rgb[::-1])
    runs = [_uniform_lines(side) for side in sides]
    left, top, right, bottom = runs
    # A step is judged over the picture alone: a 10 % frame already fills 20 % of every line.
    rows, cols = slice(top, rgb.shape[0] - bottom), slice(left, rgb.shape[1] - right)
    spans = (rows, cols, rows, cols)
    found = [_step_after(*side, STEP_SHARE) for side in zip(sides, runs, spans, strict=True)]
    for i, opposite in ((0, 2), (1, 3), (2, 0), (3, 1)):
        if runs[i] and not found[i] and found[opposite] and _same_colour(sides[i], sides[opposite]):
            found[i] = _step_after(sides[i], runs[i], spans[i], PAIR_SHARE)
    return found[0], found[1], found[2], found[3]


def _uniform_lines(side: np.ndarray) -> int:
    """Number of uniform lines from row 0; 0 if there are too few or they reach the middle."""
    half = side.shape[0] // 2
    if half <= MIN_LINES or not _is_margin(side[:1], side[0])[0]:
        return 0
    uniform = _is_margin(side[:half], side[0])
    count = int(np.argmin(uniform)) if not uniform.all() else half
    return count if MIN_LINES <= count < half else 0


def _is_margin(lines: np.ndarray, outermost: np.ndarray) -> np.ndarray:
    """For each line, whether it has the median colour of the outermost one; bool (lines,)."""
    far = _distance(lines, np.median(outermost, axis=0)) > LEVEL_TOLERANCE
    return np.asarray(far.mean(axis=1) <= 1 - UNIFORM_SHARE)


def _distance(lines: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Largest channel difference of each pixel to `colour`; uint8 (lines, length)."""
    difference = cv2.absdiff(np.ascontiguousarray(lines), np.full_like(lines, np.floor(colour), order="C"))
    red, green, blue = cv2.split(difference)
    return cv2.max(cv2.max(red, green), blue)


def _same_colour(side: np.ndarray, other: np.ndarray) -> bool:
    """Whether the outermost lines of two sides have one colour."""
    difference = np.median(side[0], axis=0) - np.median(other[0], axis=0)
    return bool(np.abs(difference).max() <= LEVEL_TOLERANCE)


def _step_after(side: np.ndarray, run: int, span: slice, share: float) -> int:
    """First line of the picture behind `run` uniform lines, or 0 if no straight step follows."""
    half = side.shape[0] // 2
    if run == 0 or not len(side[0, span]):
        return 0
    lines = np.ascontiguousarray(side[run - 1 : min(run + RINGING, half), span])
    colour = np.median(side[0], axis=0)
    away = (_distance(lines, colour) >= STEP_LEVELS).mean(axis=1)
    for k in range(1, len(lines)):
        jump = cv2.absdiff(lines[k], lines[max(k - 2, 0)]).max(axis=1) >= STEP_LEVELS
        if away[k] >= share and jump.mean() >= share:
            return run - 1 + k
    return 0
