"""The planted copies are truly near duplicates, and nothing else in the pool is (bounds of
`dedupe.near`: 32 of 256 bits)."""

import os
from pathlib import Path

import numpy as np
import pytest

from thresher.operators.base import View
from thresher.operators.dedupe.dct import dct_hash
from thresher.operators.views import open_views
from thresher.operators.views.margins import trim_box
from thresher.pipelines.demo import Truth, make_pool, read_truth
from thresher.schemas.uris import unquote_path

RGB = View("rgb", 512)
MAX_DISTANCE = 32


def bits(path: bytes) -> np.ndarray:
    """The 256-bit hash as one array of -1 and 1."""
    with open(path, "rb") as file:
        rgb = open_views(file.read(), [RGB])[RGB]
    left, top, right, bottom = trim_box(rgb)
    height, width = rgb.shape[:2]
    found = dct_hash(rgb[top : height - bottom, left : width - right]).phash256
    return np.unpackbits(np.frombuffer(found, np.uint8)).astype(np.float32) * 2 - 1


def distances(pool: Path) -> tuple[list[Truth], np.ndarray]:
    entries = [
        e
        for e in read_truth(pool / "truth.json")
        if e.source == "images" and e.status in ("kept", "dropped") and e.key != "broken/one-pixel.png"
    ]
    root = os.fsencode(pool / "images")
    hashes = np.stack([bits(os.path.join(root, unquote_path(e.key))) for e in entries])
    return entries, (256 - hashes @ hashes.T) / 2


def check(pool: Path) -> None:
    entries, distance = distances(pool)
    families = np.array([e.family for e in entries])
    strangers = families[:, None] != families[None, :]
    assert distance[strangers].min() > 2 * MAX_DISTANCE
    originals = {e.family: i for i, e in enumerate(entries) if e.status == "kept"}
    for i, entry in enumerate(entries):
        if entry.kind in ("exact copy", "equal pixels", "re-encode", "resize"):
            assert distance[i, originals[entry.family]] <= MAX_DISTANCE, entry


def test_copies_are_near_and_strangers_far(pool: Path) -> None:
    check(pool)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_copies_are_near_and_strangers_far_for_other_seeds(seed: int, tmp_path: Path) -> None:
    make_pool(tmp_path, seed)
    check(tmp_path)
