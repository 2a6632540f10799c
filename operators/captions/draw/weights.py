"""How often each caption of a picture is drawn, from its CLIP score: both rules of SANA.

The paper (arXiv 2410.10629, section 3.1) draws caption i with exp(c_i / tau); its code (repository
NVlabs/Sana, diffusion/data/datasets/sana_data.py) with c_i ^ (1 / tau) among those of at least `clip_thr`.
Scores are cosines times 100: on that scale exp(c / 0.1) all but always takes the best, one point being a
factor of e^10, while c^10 draws a caption of 30 six times as often as one of 25.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Method = Literal["power", "softmax"]
Chances = NDArray[np.float64]

LEAST_TAU = 0.01
"""Smaller temperatures count as this one, as in SANA's code."""


class Chance(NamedTuple):
    """What a caption's chance follows from."""

    score: float | None = None
    """Cosine of text and picture times 100; None: never scored."""
    weight: float = 1.0


def power(scores: Chances, tau: float, clip_thr: float) -> Chances:
    """Chances, shape (n,), of n >= 1 scores: c^(1/tau) of those that are positive and at least `clip_thr`;
    where none is, 1 for the first of the best."""
    fit = (scores >= clip_thr) & (scores > 0)
    if not fit.any():
        return np.eye(len(scores))[int(scores.argmax())]
    logs = np.log(np.where(fit, scores, 1.0)) / max(tau, LEAST_TAU)
    return _normal(np.where(fit, logs, -np.inf))


def softmax(scores: Chances, tau: float) -> Chances:
    """Chances, shape (n,), of n >= 1 scores: exp(c / tau)."""
    return _normal(scores / max(tau, LEAST_TAU))


def chances(given: Sequence[Chance], method: Method, tau: float, clip_thr: float) -> Chances:
    """The chance of each caption, shape (n,); they add up to 1 (n = 0: none).

    Without scores they are in proportion to the weights. Scores decide only between captions that have one:
    together these keep the chance that their weights give them, so that a caption that nobody scored is
    neither lost nor preferred. All weights 0: all alike.
    """
    if not given:
        return np.zeros(0)
    weights = np.array([one.weight for one in given], np.float64)
    shares = weights / weights.sum() if weights.any() else np.full(len(given), 1 / len(given))
    scored = np.array([one.score is not None for one in given], np.bool_) & (shares > 0)
    if scored.any():
        scores = np.array([one.score for one, has in zip(given, scored, strict=True) if has], np.float64)
        drawn = softmax(scores, tau) if method == "softmax" else power(scores, tau, clip_thr)
        drawn = drawn * shares[scored]
        if drawn.any():  # else the best has next to no weight
            shares[scored] = shares[scored].sum() * drawn / drawn.sum()
    return shares


def pick(shares: Chances, u: float) -> int:
    """The place that the number `u` in (0, 1) falls on."""
    ends = np.cumsum(shares)
    return int(min(np.searchsorted(ends, u * ends[-1], "right"), np.flatnonzero(shares)[-1]))


def _normal(logs: Chances) -> Chances:
    odds = np.exp(logs - logs.max())
    return np.asarray(odds / odds.sum())
