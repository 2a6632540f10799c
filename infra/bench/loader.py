"""What reading costs: raw records against webdataset, decoded rows against bare decoding, and resuming.

    PYTHONPATH=. python infra/bench/loader.py [--samples 4000] [--rounds 5]

The same shards for all, warm page cache, medians of the rounds, which alternate to meet the same machine.
`loader_plan.py` is about planning alone, `loader_against.py` about other loaders.
Must reach: raw at most 0.1 CPU-ms a sample and 3 times webdataset's rate; decoded at least 0.9 of bare
decoding and copying; 40 bytes a sample; the first rows after a resume at 90 % of an epoch of ten million
samples under 2 s.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, machine, make_pool, print_table
from PIL import Image

from tests.trainer.shards import Sample, write_export
from thresher.loader.images import pixels
from thresher.loader.index import Source, open_source
from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.order import Order
from thresher.loader.plan.pattern import Kind, Realising
from thresher.loader.plan.plan import Plan, Stage
from thresher.loader.read import Reader, members
from thresher.loader.steps import Loader
from thresher.loader.tokens import Bytes
from thresher.schemas.segments import image_segment, text_segment

HOW = Realising(Buckets(256, 16), describe=0.0)
STEP = 256
THREADS = 2
SHARDS = 7


def exported(folder: Path, count: int, weight: float, sides: tuple[int, int] = (300, 700)) -> Path:
    """An export of photographs of such sides, each of which stands `weight` times in an epoch."""
    make_pool(folder / "pool", count, sides)
    samples = []
    for file in sorted((folder / "pool").rglob("*.jpg")):
        text = f"a photograph, number {file.stem} " * 6
        segments = [
            text_segment(text, "cond", drop="text"),
            image_segment(".jpg", "target", *Image.open(file).size),
        ]
        held = {".jpg": file.read_bytes(), ".txt": text.encode()}
        samples.append(Sample(segments, held, name=file.stem, weight=weight))
    return write_export(folder / f"export-{weight:.0f}", samples, per_shard=-(-count // SHARDS))


def timed(work: Callable[[], int]) -> tuple[float, float]:
    """Wall and processor ms for each thing that `work` counts."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return (time.perf_counter() - wall) * 1e3 / count, (time.process_time() - cpu) * 1e3 / count


def medians(
    rounds: int, before: Callable[[str], object] = str, **works: Callable[[], int]
) -> dict[str, tuple[float, float]]:
    """Medians of wall and processor ms of each work; `before` is called, untimed, with its name."""
    told: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            before(name)
            told[name].append(timed(work))
    return {
        name: (statistics.median(w for w, _ in t), statistics.median(c for _, c in t))
        for name, t in told.items()
    }


def raw(source: Source, folder: Path, rounds: int) -> None:
    """Every member's bytes of every sample, in the order of a plan; webdataset in that of the shards."""
    import webdataset  # here, since every decoding process imports this file, and it brings torch

    n = len(source.pattern)
    order, reader = Order("pool", n, 0, "one"), Reader(THREADS)
    shards = [str(file) for file in sorted(folder.glob("*.tar"))]

    def ours() -> int:
        for at in range(0, n, STEP):
            for record in reader.read(source.place(order.sample(np.arange(at, min(n, at + STEP))))):
                assert not isinstance(record, str) and len(members(record)) == 4
        return n

    def theirs() -> int:
        return sum(1 for _ in webdataset.WebDataset(shards, shardshuffle=False))

    found = medians(rounds, thresher=ours, webdataset=theirs)
    base = found["webdataset"]
    print_table(
        ["raw records", "samples/s", "CPU ms", "rate against webdataset", "CPU against it"],
        [
            [name, 1e3 / wall, round(cpu, 4), base[0] / wall, cpu / base[1]]
            for name, (wall, cpu) in found.items()
        ],
    )


def _bare(items: list[tuple[bytes, int, int]]) -> list[np.ndarray]:
    return [pixels(*item) for item in items]


def decoded(source: Source, steps: int, rounds: int, workers: int) -> None:
    """Rows from a running loader, against the same files decoded by as many processes and handed over."""
    plan = Plan([source], [1], Stage("one", 0, 4096, 8, HOW))
    rows = [row for t in range(steps) for row in plan.step(t)]
    bare: list[list[tuple[bytes, int, int]]] = []
    reader = Reader(THREADS)
    for row in rows:
        records = reader.read(source.place(np.array([slot.sample for slot in row])))
        files = [bytes(members(record)[".jpg"]) for record in records if not isinstance(record, str)]
        grids = [plan.realised(0, slot.sample, slot.slot).grids[0, -1] * 16 for slot in row]
        bare.append([(file, *grid.tolist()) for file, grid in zip(files, grids, strict=True)])
    loader = iter(Loader(plan, [source], Bytes(), workers=workers))
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, context) as pool:

        def ours() -> int:
            images = 0
            for step in islice(loader, steps):
                images += sum(picture.kind is Kind.NOISY for row in step.rows for picture in row.pictures)
            return images

        def theirs() -> int:
            return sum(len(made) for made in pool.map(_bare, bare))

        def before(name: str) -> None:
            """The loader starts with as much in flight as it ends with, and is idle while others work."""
            if name == "loader":
                list(islice(loader, 4))
            else:
                time.sleep(3)

        theirs()
        found = medians(rounds, before, loader=ours, bare=theirs)
    loader.close()
    base = found["bare"][0]
    print_table(
        [f"decoded, {workers} processes", "images/s", "rate against bare decoding"],
        [[name, 1e3 / wall, base / wall] for name, (wall, _) in found.items()],
    )


def resumed(source: Source, rounds: int) -> None:
    """The first rows of a step at 90 % of an epoch, in a new plan; the rows of windows counted before."""
    n = len(source.pattern)
    stage = Stage("one", 0, 4096, 8, HOW)
    plan = Plan([source], [1], stage)
    plan.remember(source.folder)
    last, began = int(0.9 * n) // stage.window, time.perf_counter()
    plan._count_rows(last)
    counted, step = time.perf_counter() - began, plan._ends[last] // stage.rows

    def first() -> int:
        loader = iter(Loader(Plan([source], [1], stage), [source], Bytes(), first=step))
        assert next(loader).rows
        loader.close()
        return 1

    (wall, _), size = (
        medians(rounds, first=first)["first"],
        sum(f.stat().st_size for f in source.folder.iterdir()),
    )
    ids = (source.folder / "id").stat().st_size
    print_table(
        ["samples", "bytes a sample", "of ids more", "rows counted once s", "first rows at 90 % s"],
        [[n, (size - ids) / n, ids / n, counted, wall / 1e3]],
    )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=10_000_000)
    given = parser.parse_args()
    print(machine() + "\n")
    with tempfile.TemporaryDirectory() as place:
        once = exported(Path(place), given.samples, 1)
        source = open_source("pool", once, Bytes())
        raw(source, once, given.rounds)
        decoded(source, 6, given.rounds, min(2, os.cpu_count() or 1))
        many = exported(Path(place), given.samples, given.large // given.samples)
        began: Any = time.perf_counter()
        source = open_source("pool", many, Bytes())
        print(f"compiled in {time.perf_counter() - began:.1f} s")
        resumed(source, given.rounds)


if __name__ == "__main__":
    main()
