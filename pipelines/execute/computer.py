"""The device's half of a model pass: slices are gathered into whole batches, and on a GPU two are under way,
so that one is stacked and copied while the other is computed."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from thresher.operators.base import Failure, Values
from thresher.operators.models.chat import settings as chat
from thresher.operators.models.model import ModelMeasure, ready, ready_places, spread
from thresher.operators.models.resident import Resident, TooLarge, configure, resident
from thresher.operators.values import to_array
from thresher.pipelines.execute import kept_batch
from thresher.pipelines.execute.batches import state_columns
from thresher.pipelines.execute.task import PassTask, StopFlag
from thresher.pipelines.execute.usage import has_note, leave_note
from thresher.pipelines.store import fragments
from thresher.schemas import Reason, ThresherError

LANES = 2
"""Batches under way on a GPU."""


class Rows(NamedTuple):
    """Rows of a part, and for each what `forward` takes, a Failure, or None."""

    offsets: list[int]
    prepared: list[Any]

    def cut(self, count: int) -> "Rows":
        """Take the first rows away."""
        taken = Rows(self.offsets[:count], self.prepared[:count])
        del self.offsets[:count], self.prepared[:count]
        return taken


@cache
def _lanes() -> ThreadPoolExecutor:
    """Of the process: each thread has a CUDA stream, and each stream memory of its own."""
    return ThreadPoolExecutor(LANES)


class Computer:
    """Computes the prepared slices of one part."""

    def __init__(self, task: PassTask) -> None:
        configure(task.device, task.batch, task.compile)
        chat.configure(chat.Settings(task.in_flight, task.memo, chat.Budget(*task.budget), _stopping(task)))
        self._task, self._operator = task, model_of(task)
        self._folder = Path(task.folder)
        self._settled = bool(self._operator.batch)
        self._held = Rows([], [])
        self._flight: deque[Future[pa.Table]] = deque()
        self._used, self._lock = False, Lock()
        self._stop: BaseException | None = None

    def add(self, offsets: Sequence[int], prepared: Sequence[Any]) -> Iterator[pa.Table]:
        """Take a slice; the columns of what is done, as a fragment holds them, without rows for which the run
        must stop. Raises what stops it when called again: by then the others can be written."""
        if self._stop:
            yield from self.rest()
        self._held.offsets.extend(offsets)
        self._held.prepared.extend(prepared)
        places = ready_places(self._held.prepared)
        if places and len(places) >= (batch := self._batch(self._held.prepared[places[0]])):
            whole = len(places) // batch * batch
            yield from self._start(self._held.cut(places[whole - 1] + 1))

    def rest(self) -> Iterator[pa.Table]:
        """What is left, and the end: leaves word of what the model did, for whoever drives the run.
        Raises what stops it."""
        if self._held.offsets and not self._stop:
            yield from self._start(self._held.cut(len(self._held.offsets)))
        yield from self._landed(0)
        self._check()
        self._leave_note()

    def compute(self, rows: Rows) -> pa.Table:
        """The columns of some rows; raises what stops the run if that leaves none."""
        self._check()
        values = self._forward(rows.prepared)
        failures, written = dict(values.failures), []
        for column in self._operator.writes():
            array, bad = to_array(values.columns[column.name], column)
            failures |= bad
            written.append((column.field(), array))
        state = np.full(len(rows.offsets), fragments.DONE, np.int8)
        state[list(failures)] = fragments.FAILED
        done = np.flatnonzero(state == fragments.DONE)
        fields = [(pa.field("offset", pa.int32()), pa.array(rows.offsets, pa.int32()))]
        fields += state_columns(self._operator.name, state, failures, len(state))
        for field, array in written:
            fields.append((field, fragments.spread(array.take(pa.array(done)), done, len(state))))
        table = pa.Table.from_arrays([a for _, a in fields], schema=pa.schema([f for f, _ in fields]))
        stopped = [e for e in values.stopped.values() if not isinstance(e, chat.NotBegun)]
        self._stop = next(iter(stopped), self._stop)
        if len(values.stopped) == len(state):
            self._check()
        return table.take([i for i in range(len(state)) if i not in values.stopped])

    def _check(self) -> None:
        """Raise what stops the run."""
        if self._stop:
            self._leave_note()
            raise self._stop

    def _worker(self) -> Resident:
        """The resident; what it did in an earlier pass is forgotten."""
        with self._lock:
            worker = resident(self._operator)
            if not self._used and not has_note(self._task.run, self._task.operators[0].fp):
                worker.forget()
            self._used = True
            return worker

    def _leave_note(self) -> None:
        if self._used:
            worker = resident(self._operator)
            if self._task.batch and worker.usage.records and not kept_batch.kept(self._folder, worker):
                kept_batch.keep(self._folder, worker)
            leave_note(self._task.run, self._task.operators[0].fp, resident(self._operator))

    def _start(self, rows: Rows) -> Iterator[pa.Table]:
        """Compute some rows: at once on a CPU, which has no cores to spare; else in a lane."""
        if not ready_places(rows.prepared) or resident(self._operator).device == "cpu":
            yield self.compute(rows)
            return
        self._flight.append(_lanes().submit(self.compute, rows))
        yield from self._landed(LANES)

    def _landed(self, most: int) -> Iterator[pa.Table]:
        """What the lanes have done, until at most `most` are under way. An error waits for the others."""
        while len(self._flight) > most:
            done = self._flight.popleft()
            if error := done.exception():
                self._stop = self._stop or error
            else:
                yield done.result()

    def _batch(self, sample: Any) -> int:
        """The batch of this run, found with `sample` if it is not known; 1 if that one cannot be computed."""
        worker = resident(self._operator)
        if self._settled or self._task.batch:
            return worker.batch
        found = kept_batch.kept(self._folder, worker)
        if not found:
            try:
                worker.batch = worker.batch or worker.search(sample)
            except Exception as error:
                if isinstance(error, ThresherError) and not isinstance(error, TooLarge):
                    raise
                return 1
            found = kept_batch.keep(self._folder, worker)
        worker.batch, self._settled = found, True
        return found

    def _forward(self, prepared: list[Any]) -> Values:
        """The values of some rows; where the model raises, one record at a time: the culprit fails alone."""
        inputs = ready(prepared)
        if not inputs:
            return spread({column.name: [] for column in self._operator.writes()}, prepared)
        worker = self._worker()
        self._batch(inputs[0])
        halvings = worker.usage.halvings
        try:
            return spread(worker.run(inputs), prepared)
        except TooLarge:
            return self._one_by_one(worker, prepared)
        except ThresherError:
            raise
        except Exception:
            return self._one_by_one(worker, prepared)
        finally:
            if worker.usage.halvings > halvings:
                kept_batch.lower(self._folder, worker)

    def _one_by_one(self, worker: Resident, prepared: list[Any]) -> Values:
        found: dict[str, list[Any]] = {column.name: [] for column in self._operator.writes()}
        too_large: TooLarge | None = None
        for i, one in enumerate(prepared):
            if one is None or isinstance(one, Failure):
                continue
            try:
                row = worker.run([one])
            except TooLarge as error:
                prepared[i], too_large = Failure(Reason.TOO_MANY_PIXELS, error.what), error
            except ThresherError:
                raise
            except Exception as error:
                prepared[i] = raised(self._operator, error)
            else:
                for name, values in found.items():
                    values.extend(row[name])
        if too_large is not None and not worker.usage.records and not kept_batch.kept(self._folder, worker):
            raise too_large  # nobody ever computed a record: it is not this one's fault
        return spread(found, prepared)


def _stopping(task: PassTask) -> Callable[[], bool]:
    """Whether no other record shall be begun: at the user's word, or because nobody waits for it any more."""
    stop, parent = StopFlag(task.run), os.getppid()
    return lambda: bool(stop) or os.getppid() != parent


def model_of(task: PassTask) -> ModelMeasure:
    """The one operator of a model pass."""
    (spec,) = task.operators
    operator = spec.build()
    assert isinstance(operator, ModelMeasure)
    return operator


def raised(operator: ModelMeasure, error: Exception) -> Failure:
    """The failure of a record for which an operator raised."""
    return Failure(Reason.BAD_VALUE, f"{operator.name} raised {type(error).__name__}: {error}")
