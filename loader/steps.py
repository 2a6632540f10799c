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
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from thresher.loader.index import Source
from thresher.loader.plan.balance import balanced
from thresher.loader.plan.plan import Plan, Totals
from thresher.loader.read import read
from thresher.loader.row import Row
from thresher.loader.rows import Builder, Planned, planned
from thresher.loader.tokens import Tokenizer
from thresher.schemas import ThresherError

_THREADS = 8
_HOLES = 0.01
_FEW = 10
"""Holes that are borne however few samples have been read."""
_PAIR = 1 / 6144
"""What a visible pair costs beside a token: 1 / (6 width), at a width of 1,024."""


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


class _Begun(NamedTuple):
    samples: list[list[Planned]]
    rows: list[Future[Any]]
    totals: Totals
    read_bytes: int


class Loader:
    """Iterates over `Loaded`, from step `first` on, without end.

    `workers` processes decode, or this one if 0; `prefetch` steps are read ahead. Samples that cannot be read
    become holes, and lines of the file `skips`; more than 1 % of them raise ThresherError.
    """

    def __init__(
        self,
        plan: Plan,
        sources: Sequence[Source],
        tokenizer: Tokenizer,
        *,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        prefetch: int = 2,
        first: int = 0,
        skips: Path | None = None,
        pair: float = _PAIR,
    ) -> None:
        self.plan, self.sources, self.skips, self.pair = plan, sources, skips, pair
        self.rank, self.world, self.workers, self.prefetch, self.first = rank, world, workers, prefetch, first
        self._builder = Builder(plan.stage, tokenizer)
        self._seen = self._holes = 0

    def __iter__(self) -> Iterator[Loaded]:
        with ExitStack() as stack:
            threads = stack.enter_context(ThreadPoolExecutor(_THREADS))
            decoders = stack.enter_context(self._decoders())
            ahead = ThreadPoolExecutor(1)
            stack.callback(ahead.shutdown, cancel_futures=True)
            begun = deque[Future[_Begun]]()
            step = self.first
            while True:
                while len(begun) <= self.prefetch:
                    begun.append(ahead.submit(self._begin, step + len(begun), threads, decoders))
                asked = time.perf_counter()
                mine = begun.popleft().result()
                built = [row.result() for row in mine.rows]
                waited = time.perf_counter() - asked
                for samples, (_, reasons, _) in zip(mine.samples, built, strict=True):
                    self._skip(step, samples, reasons)
                yield Loaded(
                    step,
                    [row for row, _, _ in built],
                    mine.totals,
                    waited,
                    mine.read_bytes,
                    sum(seconds for _, _, seconds in built),
                    sum(len(reasons) for _, reasons, _ in built),
                )
                step += 1

    def _decoders(self) -> Any:
        if not self.workers:
            return ThreadPoolExecutor(1, initializer=_begin_worker, initargs=(self._builder, False))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        return ProcessPoolExecutor(self.workers, context, _begin_worker, (self._builder, True))

    def _begin(self, step: int, threads: ThreadPoolExecutor, decoders: Any) -> _Begun:
        """Plan this rank's rows of a step, read their records, and have them decoded."""
        rows = self.plan.step(step)
        mine = balanced(self.plan.costs(step, 1, self.pair), self.world)[self.rank]
        slots = [slot for r in mine for slot in rows[r]]
        records = read([self.sources[slot.source].place(slot.sample) for slot in slots], threads)
        samples, at, futures, parts = planned(self.plan, slots), 0, [], []
        for r in mine:
            span = slice(at, at := at + len(rows[r]))
            held = [r if isinstance(r, str) else bytes(r) for r in records[span]]
            parts.append(samples[span])
            futures.append(decoders.submit(_build, samples[span], held))
        return _Begun(parts, futures, self.plan.totals(step), sum(map(len, records)))

    def _skip(self, step: int, samples: list[Planned], reasons: dict[int, str]) -> None:
        """Count holes and tell of them. Raises ThresherError if they are too many."""
        self._seen += len(samples)
        for doc, reason in reasons.items():
            self._holes += 1
            slot = samples[doc].slot
            place = self.sources[slot.source].place(slot.sample)
            told = {
                "id": self.sources[slot.source].id(slot.sample),
                "shard": place.shard,
                "offset": place.offset,
            }
            if self.skips:
                with self.skips.open("a") as file:
                    file.write(json.dumps({"step": step, **told, "reason": reason}) + "\n")
            if self._holes > max(_FEW, _HOLES * self._seen):
                raise ThresherError(
                    f"{self._holes} of {self._seen} samples cannot be read, over 1 %; the last: {reason}",
                    f"{place.shard} {told['id']}",
                    "Run `thresher verify` on the export, and export again what is broken",
                )


_BUILDER: list[Builder] = []


def _begin_worker(builder: Builder, own_process: bool) -> None:
    _BUILDER[:] = [builder]
    if own_process:
        Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Processes must not outlive a trainer that was killed."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _build(samples: list[Planned], records: list[Any]) -> tuple[Row, dict[int, str], float]:
    started = time.thread_time()
    row, reasons = _BUILDER[0].row(samples, records)
    return row, reasons, time.thread_time() - started
