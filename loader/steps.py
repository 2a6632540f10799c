"""The rows of every step for one rank: planned ahead, read ahead, decoded ahead, in the plan's order.

There is no state but the number of the step: any world, any number of processes, and any start give the
same rows.
"""

import json
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from itertools import count, islice
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

from thresher.loader.index import Place, Source
from thresher.loader.plan.balance import balanced, uneven
from thresher.loader.plan.plan import Plan, Slot, Totals
from thresher.loader.read import Reader
from thresher.loader.row import Row
from thresher.loader.rows import Builder, Planned, planned
from thresher.loader.tokens import Tokenizer
from thresher.schemas import ThresherError

_HOLES = 0.01
_FEW = 10
"""Holes that are borne however few samples have been read."""


class Loaded(NamedTuple):
    """A rank's part of a step."""

    step: int
    rows: list[Row]
    totals: Totals
    """Of the whole step, over all ranks."""
    wait_s: float
    """Time that was waited for it."""
    read_bytes: int
    decode_s: float
    """Processor time of decoding, over all processes."""
    holes: int
    """Samples that could not be read."""
    mixed: list[list[int]]
    """Samples and tokens of each source, holes left out."""
    imbalance: float
    """Planned cost of the busiest rank's rows beside the mean of all ranks."""


class _Begun(NamedTuple):
    totals: Totals
    imbalance: float
    samples: list[list[Planned]]
    rows: list[Future[Any]]


@dataclass
class Loader:
    """Iterates over `Loaded`, from step `first` on, without end.

    `workers` processes decode, or a thread of this one if 0; `prefetch` steps are read ahead. Samples that
    cannot be read become holes, and lines of the file `skips`; ThresherError if they are over 1 %.
    """

    plan: Plan
    sources: Sequence[Source]
    tokenizer: Tokenizer
    _: KW_ONLY
    rank: int = 0
    world: int = 1
    workers: int = 0
    prefetch: int = 2
    first: int = 0
    skips: Path | None = None
    pair: float = 1 / 6144
    """What a visible pair costs beside a token: 1 / (6 width), here of a width of 1,024."""

    def __post_init__(self) -> None:
        self._threads = 32 if any("://" in source.url for source in self.sources) else 4
        self._seen = self._holes = 0
        self.plan.remember(self.sources[0].folder)

    def __iter__(self) -> Iterator[Loaded]:
        begun = deque[Future[_Begun]]()
        with (
            closing(Reader(self._threads)) as reader,
            self._decoders() as decoders,
            ThreadPoolExecutor(1) as ahead,
        ):
            try:
                for step in count(self.first):
                    while len(begun) <= self.prefetch:
                        begun.append(ahead.submit(self._begin, step + len(begun), reader, decoders))
                    yield self._loaded(step, begun.popleft())
            finally:
                ahead.shutdown(cancel_futures=True)
                decoders.shutdown(cancel_futures=True)

    def _decoders(self) -> Executor:
        builder = Builder(self.plan.stage, self.tokenizer)
        self._here = None if self.workers else builder
        if not self.workers:
            return ThreadPoolExecutor(1)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        return ProcessPoolExecutor(self.workers, context, _begin_worker, (builder,))

    def _begin(self, step: int, reader: Reader, decoders: Executor) -> _Begun:
        """Plan this rank's rows of a step, read their records, and have them decoded."""
        rows, costs = self.plan.step(step), self.plan.costs(step, 1, self.pair)
        ranks = balanced(costs, self.world)
        rows = [rows[r] for r in ranks[self.rank]]
        slots = [slot for row in rows for slot in row]
        records = iter(reader.read(self._places(slots)))
        samples = iter(planned(self.plan, slots))
        imbalance = uneven([sum(costs[r] for r in rank) for rank in ranks])
        begun = _Begun(self.plan.totals(step), imbalance, [], [])
        for row in rows:
            held = [r if isinstance(r, str) else bytes(r) for r in islice(records, len(row))]
            begun.samples.append(list(islice(samples, len(row))))
            begun.rows.append(decoders.submit(_build, self._here, begun.samples[-1], held))
        return begun

    def _places(self, slots: Sequence[Slot]) -> list[Place]:
        out: dict[Slot, Place] = {}
        for s, source in enumerate(self.sources):
            mine = [slot for slot in slots if slot.source == s]
            out |= zip(mine, source.place(np.array([slot.sample for slot in mine], np.int64)), strict=True)
        return [out[slot] for slot in slots]

    def _loaded(self, step: int, begun: Future[_Begun]) -> Loaded:
        """Wait for a step."""
        asked = time.perf_counter()
        totals, imbalance, samples, rows = begun.result()
        built = [row.result() for row in rows]
        waited = time.perf_counter() - asked
        for row, (_, reasons, _, _) in zip(samples, built, strict=True):
            self._skip(step, row, reasons)
        made, reasons, sizes, seconds = zip(*built, strict=True) if built else ((),) * 4
        read = sum(sizes), sum(seconds), sum(map(len, reasons)), self._mixed(made)
        return Loaded(step, list(made), totals, waited, *read, imbalance)

    def _mixed(self, rows: Sequence[Row]) -> list[list[int]]:
        out = [[0, 0] for _ in self.sources]
        for row in rows:
            lengths = np.bincount(row.doc[row.doc >= 0], minlength=len(row.slots))
            for slot, tokens in zip(row.slots, lengths.tolist(), strict=True):
                held = out[slot.source]
                held[:] = held[0] + (tokens > 0), held[1] + tokens
        return out

    def _skip(self, step: int, samples: Sequence[Planned], reasons: dict[int, str]) -> None:
        """Count holes and tell of them. Raises ThresherError if they are too many."""
        self._seen, self._holes = self._seen + len(samples), self._holes + len(reasons)
        for doc, reason in reasons.items():
            slot = samples[doc].slot
            place, id = self._places([slot])[0], self.sources[slot.source].id(slot.sample)
            told = {"step": step, "id": id, "shard": place.shard, "offset": place.offset, "reason": reason}
            if self.skips:
                with self.skips.open("a") as file:
                    file.write(json.dumps(told) + "\n")
        if reasons and self._holes > max(_FEW, _HOLES * self._seen):
            what = f"{self._holes} of {self._seen} samples cannot be read, over 1 %; the last: {reason}"
            mend = "Run `thresher verify` on the export, and export again what is broken"
            raise ThresherError(what, f"{place.shard} {id}", mend)


_BUILDER: list[Builder] = []
"""Of a decoding process, which serves one loader."""


def _begin_worker(builder: Builder) -> None:
    _BUILDER[:] = [builder]
    if parent := multiprocessing.parent_process():  # a process must not outlive a trainer that was killed
        Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _build(
    builder: Builder | None, samples: list[Planned], records: list[Any]
) -> tuple[Row, dict[int, str], int, float]:
    started = time.thread_time()
    row, reasons = (builder or _BUILDER[0]).row(samples, records)
    return row, reasons, sum(len(r) for r in records if isinstance(r, bytes)), time.thread_time() - started
