"""The distances of each source, from its pictures."""

import base64
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresher.operators.aigc import fwd as distance
from thresher.operators.aigc.fwd import LEAST, SIDE, Moments, by_band
from thresher.operators.base import View
from thresher.pipelines.execute.pictures import Pictures
from thresher.pipelines.execute.progress import Step
from thresher.pipelines.fwd.sample import Draw, Picture, Triple
from thresher.pipelines.view import RunView

_NATIVE = View("native")
_BATCH = 16
"""Triples in memory."""
_CLEAR = 2
"""A band moved if its distance is over so many times its null and that of all packets: sets of one law differ
by less. The coarsest band is a single packet, and its own null is no measure."""


def compared(view: RunView, table: str, draw: Draw, pictures: Pictures, step: Step) -> dict[str, Any]:
    """What is said of a source. The distance is the mean of those from either half of the reference; the
    null is that of the halves from each other. All three are between sets of `n` pictures."""
    told: dict[str, Any] = {"name": draw.name, "pictures": draw.pictures, "unopened": 0}
    if draw.lacks:
        return told | {"lacks": draw.lacks}
    rows = _rows(view, table, draw)
    sets = [Moments.none() for _ in Triple._fields]
    for start in range(0, len(draw.triples), _BATCH):
        batch, whole = draw.triples[start : start + _BATCH], []
        for triple in batch:
            opened = [seen for p in triple if (seen := _opened(rows[p], pictures)) is not None]
            told["unopened"] += len(triple) - len(opened)
            if len(opened) == len(triple):
                whole.append(opened)
        if whole:
            sets = [a + Moments.of(list(b)) for a, b in zip(sets, zip(*whole, strict=True), strict=True)]
        step.advance(len(batch))
    own, first, second = sets
    if own.count < LEAST:
        return told | {"lacks": f"needs {LEAST} matched pictures, of which {own.count} could be opened"}
    null = distance.fwd(first, second)
    found = (distance.fwd(first, own) + distance.fwd(second, own)) / 2
    told |= {"n": own.count, "fwd": float(found.mean()), "null": float(null.mean())}
    told["excess"] = told["fwd"] - told["null"]
    told["bands"] = bands(by_band(found), by_band(null), told["null"])
    return told


def bands(found: Mapping[str, float], null: Mapping[str, float], whole: float) -> list[dict[str, Any]]:
    """Each band with its distance, its null, and whether it moved; `whole`: the null of all packets."""
    return [
        {"band": name, "fwd": value, "null": null[name], "moved": value > _CLEAR * max(null[name], whole)}
        for name, value in found.items()
    ]


def ranked(sources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The farthest from the reference first; those that could not be compared last."""
    return sorted(sources, key=lambda told: (-told.get("excess", -np.inf), told["name"]))


def _rows(view: RunView, table: str, draw: Draw) -> dict[Picture, dict[str, Any]]:
    """`source` and `media` of every picture that is drawn."""
    drawn = sorted({p for triple in draw.triples for p in triple}, key=lambda p: (p.part, p.row))
    rows: dict[Picture, dict[str, Any]] = {}
    for part, group in groupby(drawn, key=lambda p: p.part):
        found = list(group)
        values = view.values(table, part, ["source", "media"]).take([p.row for p in found]).to_pylist()
        rows |= zip(found, values, strict=True)
    return rows


def _opened(row: Mapping[str, Any], pictures: Pictures) -> NDArray[np.uint8] | None:
    data = pictures.ask(row, _NATIVE, packed)
    if data is None:
        return None
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(-1, SIDE, SIDE, 3)


def packed(pixels: NDArray[np.uint8]) -> str | None:
    """Runs in the child: the tiles of a picture as text; None if the file has become too small."""
    if min(pixels.shape[:2]) < SIDE:
        return None
    return base64.b64encode(distance.tiles(pixels).tobytes()).decode()
