"""A verifier's probabilities made honest: fitted to claims that people labelled right or wrong."""

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.schemas.errors import FieldError

Floats = NDArray[np.float64]
ISOTONIC_FROM = 200
"""Labels from which steps are fitted; fewer take a curve of two parameters."""
LEAST = 20
"""Labels without which nothing is fitted, of each kind a quarter."""
LEVELS = (0.5, 0.75, 0.9)
_FOLDS, _BINS = 5, 10


class Point(NamedTuple):
    """At t: the share of claims with p >= t, and the share of these that are wrong (None without any)."""

    t: float
    coverage: float
    risk: float | None


class Calibration(NamedTuple):
    """p -> probability that the claim is true. `ece` and `brier` are of labels that the fit had not seen."""

    kind: str
    labels: int
    ece: float
    brier: float
    curve: tuple[Point, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    revision: str

    def __call__(self, p: float) -> float:
        return float(np.interp(p, self.x, self.y))

    def told(self) -> str:
        """For a column's meaning."""
        kept = "; ".join(
            f"t {t:g}: coverage {coverage:.2f}" + ("" if risk is None else f", risk {risk:.2f}")
            for t, coverage, risk in self.curve
        )
        fit = f"{self.kind} on {self.labels} labels, ECE {self.ece:.3f}, Brier {self.brier:.3f}"
        return f"calibrated ({fit}; {kept})"


def calibration_of(file: str) -> Calibration:
    """Fit to a CSV with the header `p,label`: a verifier's raw probability of yes, and 1 where the claim is
    true, else 0. Raises FieldError where it cannot be used."""
    p, label, content = _read(file)
    kind, fit = ("isotonic", isotonic) if len(p) >= ISOTONIC_FROM else ("Platt", platt)
    held = np.empty(len(p))
    order = np.lexsort((label, p))  # spreads both over the folds, whatever the order in the file
    fold = np.empty(len(p), np.int64)
    fold[order] = np.arange(len(p)) % _FOLDS
    for k in range(_FOLDS):
        held[fold == k] = fit(p[fold != k], label[fold != k])(p[fold == k])
    grid = np.linspace(0, 1, 1001)
    curve = tuple(_point(t, held, label) for t in LEVELS)
    revision = hashlib.blake2b(content, digest_size=4).hexdigest()
    fitted = fit(p, label)(grid)
    brier = float(((held - label) ** 2).mean())
    return Calibration(
        kind, len(p), _ece(held, label), brier, curve, tuple(grid.tolist()), tuple(fitted.tolist()), revision
    )


def isotonic(p: Floats, label: Floats) -> Callable[[Floats], Floats]:
    """The nearest non-decreasing steps (pool adjacent violators), joined by straight lines."""
    x, inverse = np.unique(p, return_inverse=True)
    weights = np.bincount(inverse).astype(np.float64)
    means = np.bincount(inverse, label) / weights
    pools: list[list[float]] = []  # mean, weight, number of x
    for mean, weight in zip(means, weights, strict=True):
        pools.append([mean, weight, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (m, w, n), (m0, w0, n0) = pools.pop(), pools.pop()
            pools.append([(m * w + m0 * w0) / (w + w0), w + w0, n + n0])
    y = np.repeat([pool[0] for pool in pools], [int(pool[2]) for pool in pools])
    return lambda at: np.interp(at, x, y)


def platt(p: Floats, label: Floats) -> Callable[[Floats], Floats]:
    """A logistic curve over the log-odds of p, with Platt's softened labels, by Newton's method."""
    x = np.column_stack([_log_odds(p), np.ones(len(p))])
    right = label.sum()
    wanted = np.where(label > 0, (right + 1) / (right + 2), 1 / (len(p) - right + 2))
    w = np.zeros(2)
    for _ in range(100):
        q = 1 / (1 + np.exp(-x @ w))
        slope = (x.T * (q * (1 - q))) @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(slope, x.T @ (q - wanted) + 1e-6 * w)
        w -= np.clip(step, -1, 1)  # a full step may overshoot where labels are nearly separable
        if np.abs(step).max() < 1e-9:
            break
    return lambda at: 1 / (1 + np.exp(-(w[0] * _log_odds(at) + w[1])))


def _log_odds(p: Floats) -> Floats:
    p = np.clip(p, 0.001, 0.999)
    return np.asarray(np.log(p / (1 - p)))


def _point(t: float, p: Floats, label: Floats) -> Point:
    kept = p >= t
    return Point(t, float(kept.mean()), float(1 - label[kept].mean()) if kept.any() else None)


def _ece(p: Floats, label: Floats) -> float:
    """Expected calibration error over ten equal bins."""
    bins = np.minimum((p * _BINS).astype(np.int64), _BINS - 1)
    gaps = [abs(float((p - label)[bins == b].sum())) for b in range(_BINS)]
    return sum(gaps) / len(p)


def _read(file: str) -> tuple[Floats, Floats, bytes]:
    mend = "Write a CSV with the header `p,label`: p from 0 to 1, label 1 for true and 0 for false"
    try:
        content = Path(file).expanduser().read_bytes()
        rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
        p = np.array([float(row["p"]) for row in rows])
        label = np.array([float(row["label"]) for row in rows])
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise FieldError(f"no labels can be read from {file!r}: {error}", ("calibration",), mend) from error
    if not (((p >= 0) & (p <= 1)).all() and np.isin(label, (0, 1)).all()):
        raise FieldError(f"{file!r} holds a p outside 0 to 1, or another label", ("calibration",), mend)
    rarer = int(min(label.sum(), len(label) - label.sum()))
    if len(p) < LEAST or rarer < LEAST // 4:
        what = f"{file!r} holds {len(p)} labels, {rarer} of the rarer kind"
        mend = f"Label at least {LEAST} claims, with {LEAST // 4} right and {LEAST // 4} wrong ones"
        raise FieldError(what, ("calibration",), mend)
    return p, label, content
