"""Rows made by hand: a few words say what stands in each."""

from dataclasses import replace
from itertools import count

import numpy as np

from thresher.loader.plan.pattern import CAUSAL, Kind
from thresher.loader.plan.plan import Slot, Totals
from thresher.loader.row import PAD, Picture, Row

_numbers = count()


def text(*tokens, learn=True, weight=1.0):
    """Tokens; each but the last predicts its follower, the last the end (1), if they are learnt."""
    return Kind.TEXT, list(tokens), learn, weight


def image(kind, pixels, name=None, *, time=0.0, noise=0, stride=4, group=None, learn=True, features=None):
    """One copy of an image, uint8; copies of one `name` stand at one position, noisy ones of one group in
    one segment."""
    grid = (pixels.shape[0] // stride, pixels.shape[1] // stride)
    key = next(_numbers) if name is None else name
    return kind, Picture(0, kind, grid, pixels, time, noise, features), learn, (key, group)


def row(length, *documents, first=0):
    """Documents, each a list of parts, side by side; padding behind."""
    told = {n: np.zeros(length, np.int64) for n in ("token", "kind", "doc", "seg", "target")}
    for name in ("kind", "doc", "seg", "target"):
        told[name][:] = PAD
    position, weight = np.zeros((length, 3), np.int64), np.zeros(length, np.float32)
    made = Row(**told, position=position, weight=weight)
    at = seg = 0
    for d, document in enumerate(documents):
        order, last, group = 0, None, None
        made.slots.append(Slot(first + d, 0, d))
        for kind, what, learn, more in document:
            n = len(what) if kind is Kind.TEXT else int(np.prod(what.grid))
            here = slice(at, at + n)
            assert at + n <= length, "the row is too short"
            same = kind is Kind.NOISY and more[1] is not None and more[1] == group
            group = more[1] if kind is Kind.NOISY else None
            seg += not same
            made.kind[here], made.doc[here], made.seg[here] = kind, d, seg
            if kind is Kind.TEXT:
                made.token[here] = what
                if learn:
                    made.target[here], made.weight[here] = [*what[1:], 1], more
                position[here] = order + np.arange(n)[:, None]
                order, last = order + n, None
            else:
                if last is not None and last[0] == more[0]:
                    order = last[1]
                ys, xs = np.divmod(np.arange(n), what.grid[1])
                position[here] = order + np.stack([0 * ys, ys, xs], axis=1)
                last, order = (more[0], order), order + max(what.grid)
                made.weight[here] = learn and kind in (Kind.NOISY, Kind.VQ)
                made.pictures.append(replace(what, at=at))
            at += n
    return made


def totals(rows):
    """What the rows hold to be learnt."""
    texts = sum(float(r.weight[np.isin(r.kind, CAUSAL) & (r.target != PAD)].sum()) for r in rows)
    learnt = (r.weight[p.at] > 0 for r in rows for p in r.pictures if p.kind is Kind.NOISY)
    return Totals(texts, sum(map(int, learnt)))


def noise_image(seed, height=8, width=8):
    """Random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
