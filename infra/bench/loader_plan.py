"""What planning alone gives, beside what others do on the same lengths; nothing is read.

    PYTHONPATH=. python infra/bench/loader_plan.py [--windows 50]

Fill: rows of 16,384 tokens of our plan, and of the same samples in the same order by BAGEL's packer (a queue
of 50 samples; repository ByteDance-Seed/Bagel, data/dataset_base.py, its lengths scaled to this row) and by
first-fit that gives all bins out when a sample fits in none (as Grain's FirstFitPackIterDataset).
Share error: of counts of sources after 10,000 samples, quotas against random draws.
Memory and start: a plan of 10^9 samples against an epoch's ids as an int64 permutation, the way of MosaicML
Streaming; that is measured for 10^8 and multiplied by ten.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from common import arguments, machine, own_peak_mb, print_table

from tests.trainer.simulated import EDIT, T2I, WORDS, Simulated
from thresher.loader.plan.balance import balanced
from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.mixture import Mixture
from thresher.loader.plan.pattern import Realising
from thresher.loader.plan.plan import Plan, Stage

ROW = 16_384
SHARES = [0.6, 0.2, 0.2]
Packed = tuple[int, int, int]
"""Rows, tokens in them, tokens lost."""


def simulated(n: int, shares: Sequence[float] = SHARES) -> Plan:
    """Steps of rows of 16,384 tokens, of three sources of `n` samples together."""
    sources = [
        Simulated("t2i", T2I, n * 6 // 10),
        Simulated("edit", EDIT, n // 5),
        Simulated("text", WORDS, n // 5),
    ]
    some = [i for i, share in enumerate(shares) if share]
    stage = Stage("one", 0, ROW, 512, Realising(Buckets(512, 16), describe=0.0), share="samples")
    return Plan([sources[i] for i in some], [shares[i] for i in some], stage)


def queued(lengths: Sequence[int], row: int = ROW, held: int = 50) -> Packed:
    """BAGEL: a row ends from 8/9 of its length on, and where the queue is full or has just given what does
    not fit, which is then lost. The queue comes first while a row is less than 4/9 full."""
    enough, prefer = row * 8 // 9, row * 4 // 9
    queue: list[int] = []
    rows = tokens = now = lost = 0
    stream = iter(lengths)
    while True:
        old = now < prefer and bool(queue)
        need = queue.pop(0) if old else next(stream, 0)
        if not need:
            return rows, tokens, lost
        ended = False
        if now + need <= row:
            now += need
            ended = now >= enough
        elif len(queue) < held and not old:
            queue.append(need)
        else:
            lost, ended = lost + need, True
        if ended:
            rows, tokens, now = rows + 1, tokens + now, 0


def first_fit(lengths: Sequence[int], bins: int = 50, row: int = ROW) -> Packed:
    """Grain: each sample into the first of so many rows that holds it; where none does, all are given out."""
    rows = tokens = 0
    used = [0] * bins
    for need in lengths:
        at = next((i for i, now in enumerate(used) if now + need <= row), None)
        if at is None:
            rows, tokens, used, at = rows + bins, tokens + sum(used), [0] * bins, 0
        used[at] += need
    return rows, tokens, 0


def fill(windows: int) -> None:
    """Of the T2I and the mixed set. Samples that a packer still holds at the end are not lost."""
    told = []
    for name, shares in (("T2I", [1.0, 0, 0]), ("mixed", SHARES)):
        plan = simulated(10**7, shares)
        made = [plan.window(w) for w in range(windows)]
        lengths = np.concatenate([w.lengths for w in made]).tolist()
        whole = sum(lengths)
        packers: dict[str, Packed] = {
            "windows of 4,096 (ours)": (sum(len(w.rows) for w in made), whole, 0),
            "queue of 50 (BAGEL)": queued(lengths),
            "first-fit, 50 bins (Grain's)": first_fit(lengths),
        }
        for packer, (rows, tokens, lost) in packers.items():
            told.append([name, packer, tokens / rows / ROW, lost / whole])
    print_table(["set", "packer", "fill", "share of tokens lost"], told)


def share_error(counts: Sequence[int], seeds: int) -> None:
    """The largest error of a source's share after so many samples, mean over seeds."""
    shares = np.array(SHARES)

    def mean(count: int, draw: Callable[[int, int], Any]) -> float:
        held = (np.bincount(draw(count, seed), minlength=3) / count for seed in range(seeds))
        return statistics.mean(float(abs(h - shares).max()) for h in held)

    told = []
    for count in counts:
        ours = mean(count, lambda n, seed: Mixture(SHARES, seed, "one").slots(0, n)[0])
        drawn = mean(count, lambda n, seed: np.random.default_rng(seed).choice(3, n, p=shares))
        told.append([count, ours, drawn, ours / drawn])
    print_table(["share error after", "quotas", "random", "ratio"], told)


def start(rounds: int) -> None:
    """Start, time of a step and memory at 10^9 samples; each in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        first, wall, cpu, ours = alone.submit(_planned, 10**9, rounds).result()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        seconds, ids = alone.submit(_permuted, 10**8).result()
    print_table(
        ["10^9 samples", "first step s", "ms a step of 512 rows", "CPU ms", "resident MB more"],
        [
            ["plan", first, wall, cpu, ours],
            ["ids permuted, 10 times 10^8", seconds * 10, "", "", ids * 10],
            ["ratio", first / seconds / 10, "", "", ours / ids / 10],
        ],
    )


def _planned(n: int, rounds: int) -> tuple[float, float, float, float]:
    before, began = own_peak_mb(), time.perf_counter()
    plan = simulated(n)
    plan.step(0)
    first = time.perf_counter() - began
    told = []
    steps = iter(range(1, 1_000_000))
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        for t in islice(steps, 8):
            plan.step(t)
            plan.totals(t)
            balanced(plan.costs(t, 1, 1 / 6144), 8)
        told.append(((time.perf_counter() - wall) / 8e-3, (time.process_time() - cpu) / 8e-3))
    wall, cpu = (statistics.median(t) for t in zip(*told, strict=True))
    return first, wall, cpu, own_peak_mb() - before


def _permuted(n: int) -> tuple[float, float]:
    before, began = own_peak_mb(), time.perf_counter()
    ids = np.random.default_rng(0).permutation(n)
    return time.perf_counter() - began, own_peak_mb() - before + 0 * len(ids)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--windows", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(machine() + "\n")
    fill(given.windows)
    share_error([10_000, 10_240], 20)  # in a block of 1,024, and after a whole one
    start(given.rounds)


if __name__ == "__main__":
    main()
