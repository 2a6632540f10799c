"""The folder of a demo pool: photographs, what was derived from them, and pictures nobody wants."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from thresher.pipelines.demo import truth as t
from thresher.pipelines.demo import variants as v
from thresher.pipelines.demo.photos import Tile
from thresher.pipelines.demo.truth import Truth
from thresher.schemas.errors import ThresherError
from thresher.schemas.uris import quote_path

COPIES, PIXEL_COPIES, CROPS, BRIGHTNESSES, WATERMARKS, FLIPS = 16, 8, 6, 6, 6, 10
QUALITIES = tuple(range(50, 100, 5)) * 3
FACTORS = tuple(sorted((0.25, 0.35, 0.5, 0.75, 1.5, 2.0) * 4))
JUNK = 6
"""Files of each kind of unwanted picture."""

SMALLEST_RESIZE = 100
"""Pixels. A resized copy is never so small that a bound on the size would take it first."""

LOSSLESS: tuple[tuple[str, dict[str, Any]], ...] = (
    (".png", {"compress_level": 1}),
    (".webp", {"lossless": True}),
    (".bmp", {}),
    (".tif", {}),
)
SUFFIXES = (".jpg", ".jpg", ".png", ".jpg", ".webp", ".jpg", ".tif", ".jpg", ".avif", ".bmp")
"""Of photographs of which no copy is planted."""

EXACT = ("duplicate_exact",)
DUPLICATE = ("duplicate_exact", "duplicate_near")


class Planter:
    """Writes files below `root` and remembers the truth about each; hands out unused tiles."""

    def __init__(self, root: Path, source: str, tiles: Sequence[Tile], rng: np.random.Generator) -> None:
        self.root, self.source, self.rng = root, source, rng
        self.truths: list[Truth] = []
        self._unused = list(tiles)

    def tile(self, short_side: int = 0) -> Tile:
        """The next unused tile with at least this short side."""
        for i, tile in enumerate(self._unused):
            if tile.short_side >= short_side:
                return self._unused.pop(i)
        raise ThresherError(
            f"the photographs give too few tiles with a short side of {short_side} px",
            where=str(self.root),
            mend="Choose another --seed",
        )

    def rest(self) -> list[Tile]:
        """All tiles that are left."""
        tiles, self._unused = self._unused, []
        return tiles

    def put(
        self,
        key: str,
        data: bytes,
        kind: str,
        status: str = "kept",
        reasons: tuple[str, ...] = (),
        group: str = "",
    ) -> None:
        """Write one file and note the truth about it."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.truths.append(Truth(self.source, quote_path(os.fsencode(key)), kind, status, reasons, group))

    def photo(self, tile: Tile, suffix: str = ".jpg") -> tuple[bytes, Image.Image, str]:
        """Write a tile as a photograph: its bytes, its pixels as decoded, its group."""
        options = {"quality": int(self.rng.integers(86, 96))} if suffix in (".jpg", ".webp", ".avif") else {}
        data = v.encoded(tile.image, suffix, **options)
        key = f"photos/{tile.name}{suffix}"
        self.put(key, data, t.PHOTO)
        with Image.open(self.root / key) as opened:
            image = opened.copy()
        return data, image, f"{self.source}:{key}"

    def variant(
        self, folder: str, tile: Tile, changed: Image.Image, label: str, kind: str, group: str
    ) -> None:
        """Write a changed picture beside its photograph: a near duplicate."""
        key = f"{folder}/{tile.name}-{label}.jpg"
        self.put(key, v.encoded(changed, ".jpg", quality=90), kind, "dropped", DUPLICATE, group)


def plant_images(planter: Planter) -> list[Truth]:
    """Everything but the broken files. Returns the photographs of which nothing was derived."""
    _resizes(planter)
    _copies(planter)
    _reencodes(planter)
    _mild_changes(planter)
    _flips(planter)
    _junk(planter)
    start = len(planter.truths)
    for i, tile in enumerate(planter.rest()):
        planter.photo(tile, SUFFIXES[i % len(SUFFIXES)])
    return planter.truths[start:]


def _copies(planter: Planter) -> None:
    for i in range(COPIES):
        tile = planter.tile()
        data, _, group = planter.photo(tile)
        for n in range(2 if i % 5 == 0 else 1):
            planter.put(f"copies/IMG_{i:04d}_{n}.jpg", data, t.EXACT_COPY, "dropped", EXACT, group)
    for i in range(PIXEL_COPIES):
        tile = planter.tile()
        _, image, group = planter.photo(tile, ".png")
        suffix, options = LOSSLESS[i % len(LOSSLESS)]
        data = v.encoded(image, suffix, **options)
        planter.put(
            f"copies/{tile.name}-saved-again{suffix}", data, t.PIXEL_COPY, "dropped", DUPLICATE, group
        )


def _reencodes(planter: Planter) -> None:
    for quality in QUALITIES:
        tile = planter.tile()
        _, image, group = planter.photo(tile)
        data = v.encoded(image, ".jpg", quality=quality)
        planter.put(f"reencoded/{tile.name}-q{quality}.jpg", data, t.REENCODE, "dropped", DUPLICATE, group)


def _resizes(planter: Planter) -> None:
    for factor in FACTORS:
        tile = planter.tile(round(SMALLEST_RESIZE / factor))
        _, image, group = planter.photo(tile)
        planter.variant("resized", tile, v.resized(image, factor), f"x{factor}", t.RESIZE, group)


def _mild_changes(planter: Planter) -> None:
    for i in range(CROPS):
        tile, share = planter.tile(), (0.02, 0.03, 0.04)[i % 3]
        _, image, group = planter.photo(tile)
        planter.variant("cropped", tile, v.cropped(image, share), f"minus-{share:.0%}", t.CROP, group)
    for i in range(BRIGHTNESSES):
        tile, gain = planter.tile(), (0.7, 0.85, 1.15, 1.3)[i % 4]
        _, image, group = planter.photo(tile)
        planter.variant("brightness", tile, v.brighter(image, gain), f"x{gain}", t.BRIGHTNESS, group)
    for _ in range(WATERMARKS):
        tile = planter.tile()
        _, image, group = planter.photo(tile)
        planter.variant("watermarked", tile, v.watermarked(image, "SAMPLE"), "sample", t.WATERMARK, group)


def _flips(planter: Planter) -> None:
    for _ in range(FLIPS):
        tile = planter.tile()
        _, image, _ = planter.photo(tile)
        data = v.encoded(v.mirrored(image), ".jpg", quality=90)
        planter.put(f"flipped/{tile.name}.jpg", data, t.FLIP)


def _junk(planter: Planter) -> None:
    """Their photographs are not in the pool themselves, so that none of them is a duplicate."""

    def unwanted(stem: str, image: Image.Image, kind: str, *reasons: str) -> None:
        planter.put(f"{stem}.jpg", v.encoded(image, ".jpg", quality=92), kind, "dropped", reasons)

    for i in range(JUNK):
        tile = planter.tile()
        unwanted(f"near-black/{tile.name}", v.near_black(tile.image), t.BLACK, "black", "under_exposed")
        tile = planter.tile()
        unwanted(f"blurred/{tile.name}", v.blurred(tile.image), t.BLURRED, "blurry")
        tile = planter.tile()
        factor = int(planter.rng.integers(16, 49)) / tile.short_side
        unwanted(f"tiny/{tile.name}", v.resized(tile.image, factor), t.TINY, "too_small")
        tile = planter.tile()
        boxed = v.letterboxed(tile.image, float(planter.rng.uniform(0.12, 0.2)), vertical=i % 2 == 0)
        unwanted(f"letterboxed/{tile.name}", boxed, t.LETTERBOXED, "letterboxed", "bordered")
        sheet = v.contact_sheet(_some_photos(planter, 16), columns=4)
        unwanted(f"collages/contact-sheet-{i:02d}", sheet, t.COLLAGE, "collage")


def _some_photos(planter: Planter, count: int) -> list[Image.Image]:
    """Photographs that the pool holds already."""
    keys = [truth.key for truth in planter.truths if truth.kind == t.PHOTO]
    images = []
    for i in planter.rng.choice(len(keys), count, replace=False):
        with Image.open(planter.root / keys[i]) as opened:
            images.append(opened.convert("RGB"))
    return images
