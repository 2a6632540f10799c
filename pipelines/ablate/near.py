"""Held-out pictures that look like a picture in training: they would test memory, not learning."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresher.operators.base import View
from thresher.operators.dedupe.arrays import hash_words
from thresher.operators.dedupe.candidates import Work
from thresher.operators.dedupe.dct import dct_hash
from thresher.operators.dedupe.edges import find_edges
from thresher.operators.dedupe.near import NearParams
from thresher.operators.dedupe.pool import LOW_INFO, Pool
from thresher.operators.dedupe.verify import Looks
from thresher.operators.views import MediaError, open_views
from thresher.operators.views.margins import trim_box

_RGB = View("rgb", 512)
_LOOK = np.dtype(
    [("sample", "i8"), ("phash", "u8"), ("phash256", "u1", 32), ("tiny", "u1", 48), ("size", "i8", 2)]
)
_AT_ONCE = 512


def looks(samples: Iterable[tuple[int, list[bytes]]]) -> NDArray[Any]:
    """What near-duplicate search knows of each picture of each sample, (n,); not of flat and broken ones."""
    found: list[NDArray[Any]] = [np.zeros(0, _LOOK)]
    pictures = ((number, data) for number, held in samples for data in held)
    with ThreadPoolExecutor() as threads:
        while some := [pair for pair, _ in zip(pictures, range(_AT_ONCE), strict=False)]:
            found += [look for look in threads.map(_look, some) if look is not None]
    return np.concatenate(found)


def _look(picture: tuple[int, bytes]) -> NDArray[Any] | None:
    try:
        rgb = open_views(picture[1], [_RGB])[_RGB]
    except MediaError:
        return None
    left, top, right, bottom = trim_box(rgb)
    cut = rgb[top : rgb.shape[0] - bottom, left : rgb.shape[1] - right]
    made = dct_hash(cut)
    if made.ac_rms < LOW_INFO:
        return None
    words = (np.frombuffer(raw, np.uint8) for raw in (made.phash256, made.tiny_rgb))
    return np.array([(picture[0], made.phash, *words, cut.shape[1::-1])], _LOOK)


def near(held: NDArray[Any], trained: NDArray[Any]) -> set[int]:
    """Samples of `held` that have a picture near one of `trained`, by the rule of `dedupe.near`."""
    both = np.concatenate([held, trained])
    if not len(held) or not len(trained):
        return set()
    params, n = NearParams(), np.arange(len(both))
    same = Looks(hash_words(both["phash256"]), both["tiny"], both["size"])
    pool = Pool(n.astype(np.uint64), np.zeros((len(both), 2), np.uint64), n, both["phash"], same)
    edges = find_edges(pool, params.max_distance, params.max_colour_diff, Work())
    seen = np.zeros(len(both), bool)
    seen[edges.stands_for[len(held) :]] = True
    linked = np.concatenate([edges.b[seen[edges.a]], edges.a[seen[edges.b]]])
    seen[linked] = True
    return set(held["sample"][seen[edges.stands_for[: len(held)]]].tolist())


def pictures(members: Iterable[dict[str, bytes]]) -> Iterator[list[bytes]]:
    """The media of each record, in name order."""
    for held in members:
        yield [data for name, data in sorted(held.items()) if not name.endswith((".json", ".txt"))]
