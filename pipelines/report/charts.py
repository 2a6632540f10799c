"""Charts as plain geometry in an SVG user space of WIDTH x HEIGHT; the template only writes it down."""

import math
from dataclasses import dataclass

import numpy as np

from thresher.pipelines.report.histograms import Histogram
from thresher.pipelines.report.numbers import THIN, number
from thresher.pipelines.report.rows import DROPPED_ELSEWHERE, DROPPED_HERE, FAILED, KEPT
from thresher.pipelines.view import Bound

WIDTH, HEIGHT = 360, 150
TOP, BOTTOM = 30, 130
"""Between them stand the bars; bound labels above, axis labels below."""

COLOURS = {KEPT: "kept", DROPPED_HERE: "here", DROPPED_ELSEWHERE: "dropped", FAILED: "failed"}
"""Colour classes, from the bottom of a stack to its top."""


SIGNS = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"}


@dataclass(frozen=True)
class Line:
    """A bound: a vertical line and its label."""

    x: float
    y: float
    """Of the label; labels that would touch stand one above the other."""
    label: str
    anchor: str
    """SVG text-anchor that keeps the label inside the chart."""
    calibrate: bool


@dataclass(frozen=True)
class Chart:
    """A stacked histogram."""

    paths: list[tuple[str, str]]
    """Colour class and SVG path of all bars of one colour."""
    tips: list[tuple[float, float, str]]
    """For each bin that holds something: x, width, text."""
    ticks: list[tuple[float, str]]
    lines: list[Line]
    peak: int
    """Records in the fullest bin."""
    log: bool


@dataclass(frozen=True)
class Bar:
    """A horizontal stacked bar: shares of the longest one, in percent."""

    label: str
    count: int
    shares: list[tuple[str, float]]


def draw(histogram: Histogram, bounds: list[Bound]) -> Chart:
    """A histogram with its bounds."""
    edges, counts = histogram.edges, histogram.counts
    scale = _Scale(float(edges[0]), float(edges[-1]), histogram.log)
    xs = [scale(float(edge)) for edge in edges]
    totals = counts.sum(axis=0)
    peak = int(totals.max(initial=0))
    below, above = histogram.beyond
    tips = []
    for i in np.flatnonzero(totals):
        span = f"{number(float(edges[i]))} to {number(float(edges[i + 1]))}"
        span += " and less" if i == 0 and below else ""
        span += " and more" if i == len(totals) - 1 and above else ""
        tips.append((xs[i], xs[i + 1] - xs[i], f"{span}: {_counted(counts[:, i].tolist())}"))
    return Chart(
        _paths(counts, xs, peak), tips, _ticks(scale, histogram), _lines(bounds, scale), peak, histogram.log
    )


def bars(counts: dict[str, list[int]], most: int = 10) -> list[Bar]:
    """Values of a text column, most frequent first; the rest as one bar."""
    ordered = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
    if len(ordered) > most:
        rest = [sum(c) for c in zip(*(c for _, c in ordered[most - 1 :]), strict=True)]
        ordered = [*ordered[: most - 1], (f"{len(ordered) - most + 1} others", rest)]
    longest = max((sum(c) for _, c in ordered), default=1) or 1
    return [
        Bar(label, sum(c), [(COLOURS[g], 100 * n / longest) for g, n in enumerate(c) if n])
        for label, c in ordered
    ]


def _ticks(scale: "_Scale", histogram: Histogram) -> list[tuple[float, str]]:
    ticks = scale.ticks()
    if histogram.whole:
        half = WIDTH / (len(histogram.edges) - 1) / 2
        return [(x + half, label) for x, label in ticks if float(label.replace(THIN, "")).is_integer()]
    if histogram.log and histogram.beyond[0]:
        first = f"≤{THIN}{number(float(histogram.edges[1]))}"
        room = 3.2 * len(first)
        return [(room, first), *(tick for tick in ticks if tick[0] > 3 * room)]
    return ticks


def _lines(bounds: list[Bound], scale: "_Scale") -> list[Line]:
    lines: list[Line] = []
    for _, bound in sorted({(b.value, b.operator): b for b in bounds}.items()):
        x = min(max(scale(bound.value), 0.0), float(WIDTH))
        anchor = "start" if x < WIDTH * 0.2 else "end" if x > WIDTH * 0.8 else "middle"
        crowded = bool(lines) and x - lines[-1].x < WIDTH / 4 and lines[-1].y > 11
        label = f"{SIGNS.get(bound.operator, bound.operator)} {number(bound.value)}"
        lines.append(Line(x, 11 if crowded else 24, label, anchor, bound.calibrate))
    return lines


def _counted(counts: list[int]) -> str:
    names = ["kept", "dropped by this column", "dropped otherwise", "failed"]
    return ", ".join(f"{number(n)} {name}" for n, name in zip(counts, names, strict=True) if n)


def _paths(counts: np.ndarray, xs: list[float], peak: int) -> list[tuple[str, str]]:
    paths, base = [], np.zeros(counts.shape[1])
    for group, name in COLOURS.items():
        steps = []
        for i in np.flatnonzero(counts[group]):
            high = max((BOTTOM - TOP) * counts[group, i] / peak, 0.75)  # one record stays visible
            y = BOTTOM - base[i]
            gap = min(0.6, 0.15 * (xs[i + 1] - xs[i]))
            steps.append(f"M{xs[i]:.1f} {y:.1f}V{y - high:.1f}H{xs[i + 1] - gap:.1f}V{y:.1f}Z")
            base[i] += high
        if steps:
            paths.append((name, "".join(steps)))
    return paths


class _Scale:
    """Values to x, linear or logarithmic."""

    def __init__(self, low: float, high: float, log: bool) -> None:
        self.low, self.high, self.log = low, high, log

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return WIDTH * (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values that are at least an eighth of the width apart."""
        ticks: list[tuple[float, str]] = []
        for value in self._log_ticks() if self.log else self._linear_ticks():
            x = self(value)
            label = number(value)
            room = 3.2 * len(label)
            if room * 0.8 <= x <= WIDTH - room * 0.8 and (not ticks or x - ticks[-1][0] > 24 + 2 * room):
                ticks.append((x, label))
        return ticks

    def _linear_ticks(self) -> list[float]:
        rough = (self.high - self.low) / 5
        power = 10 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
        first = math.ceil(self.low / step)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step) + 1)]

    def _log_ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        wide = math.log10(self.high / self.low) > 2.5
        steps = (1,) if wide else (1, 2, 5)
        values = [m * 10.0**d for d in decades for m in steps]
        return [round(v, 12) if v > 1e-9 else v for v in values if self.low <= v <= self.high]
