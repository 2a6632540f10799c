"""The demo pool: several hundred planted samples, and the truth about each beside them.

    DIR/images/      a folder source named `images`
    DIR/shards/      tar shards, a source named `shards`
    DIR/truth.json   what was planted and what a run should make of it
    DIR/SOURCES.txt  which photographs, by whom, under which licence

About 400 records, 10 MB and a few seconds on one core. Nothing is fetched.
"""

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thresher.pipelines.demo import broken, shards
from thresher.pipelines.demo import truth as t
from thresher.pipelines.demo.photos import PHOTOGRAPHS, tiles
from thresher.pipelines.demo.plant import Planter, plant_images
from thresher.schemas.errors import UsageError

TRUTH_FILE = "truth.json"
SOURCES_FILE = "SOURCES.txt"
PARTIAL = ".demo-pool-partial"
FOLDERS = ("images", "shards")


@dataclass(frozen=True)
class Summary:
    """What a demo pool holds."""

    directory: Path
    seed: int
    planted: dict[str, int]
    """Kind of plant -> number."""
    created: bool
    """False when the pool was there already."""

    def __str__(self) -> str:
        verb = "Planted" if self.created else "Found, as planted before,"
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.planted.items())
        total = sum(self.planted.values())
        return f"{verb} {total} entries (seed {self.seed}) in {self.directory}: {kinds}."


def make_pool(directory: Path, seed: int = 0) -> Summary:
    """Plant a pool in `directory`; the same seed gives the same bytes.

    A pool of the same seed and version is left as it is; another demo pool is replaced. Raises
    UsageError when the directory holds anything else, ThresherError without the extra `demo`.
    """
    truth_path = directory / TRUTH_FILE
    if t.pool_stamp(truth_path) == (t.VERSION, seed):
        return _summary(directory, seed, created=False)
    _refuse_foreign(directory)
    tiles(seed)
    partial = directory / PARTIAL
    partial.mkdir(parents=True, exist_ok=True)  # from now on the folder is known as ours
    _clear(directory)
    entries = _plant(partial, seed)
    (partial / SOURCES_FILE).write_text(_sources(), "utf-8")
    t.write_truth(partial / TRUTH_FILE, seed, entries)
    for name in (*FOLDERS, SOURCES_FILE, TRUTH_FILE):
        os.rename(partial / name, directory / name)
    partial.rmdir()
    return _summary(directory, seed, created=True)


def _plant(root: Path, seed: int) -> list[t.Truth]:
    """Write all files below `root`. Every tile is used once: folder, shards, broken files."""
    end = len(tiles(seed)) - broken.TILES
    start = end - shards.TILES
    planter = Planter(root / "images", "images", tiles(seed)[:start], np.random.default_rng([seed, 3]))
    singles = plant_images(planter)
    bad = broken.write_broken(root / "images" / "broken", seed)
    copied = [
        (truth.family, (root / "images" / truth.key).read_bytes())
        for truth in singles
        if truth.key.endswith(".jpg")
    ]
    members = shards.write_shards(root / "shards", tiles(seed)[start:end], copied)
    return [*planter.truths, *(truth.moved("images", "broken") for truth in bad), *members]


def _refuse_foreign(directory: Path) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UsageError("is a file", where=str(directory), mend="Name a folder")
    ours = t.pool_stamp(directory / TRUTH_FILE) is not None or (directory / PARTIAL).exists()
    if not ours and any(directory.iterdir()):
        raise UsageError(
            "the folder is not empty and holds no demo pool",
            where=str(directory),
            mend="Name a new or an empty folder",
        )


def _clear(directory: Path) -> None:
    """Remove an earlier pool, the truth first, so that half a pool is never taken for a whole one."""
    for name in (TRUTH_FILE, SOURCES_FILE):
        (directory / name).unlink(missing_ok=True)
    for locked in directory.glob("**/broken/locked"):
        locked.chmod(0o700)
    for place in (directory, directory / PARTIAL):
        for name in FOLDERS:
            if (place / name).exists():
                shutil.rmtree(place / name)


def _sources() -> str:
    lines = ["The pictures of this pool are these photographs, and crops and changed copies of them.", ""]
    lines += [f"{p.name}: {p.credit}, {p.licence} (from the package {p.package})" for p in PHOTOGRAPHS]
    return "\n".join(lines) + "\n"


def _summary(directory: Path, seed: int, created: bool) -> Summary:
    kinds = Counter(entry.kind for entry in t.read_truth(directory / TRUTH_FILE))
    return Summary(directory, seed, dict(kinds), created)
