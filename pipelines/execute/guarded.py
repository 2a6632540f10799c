"""Guarded mode: a part whose worker died is redone one record at a time in a child.

A record that kills the child twice fails with `killed_worker`; one that runs out of time fails
with `timeout`. The child goes on with the next record.
"""

import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from thresher.operators.base import Failure
from thresher.pipelines.execute.batches import BatchRunner, state_columns
from thresher.pipelines.execute.child import Child, ChildDied, pack, unpack
from thresher.pipelines.execute.computer import Computer, Rows
from thresher.pipelines.execute.models import Preparer, is_model_pass
from thresher.pipelines.execute.task import PassTask, StopFlag, read_inputs, write_as_computed
from thresher.pipelines.store.fragments import FAILED, NOT_COMPUTED
from thresher.schemas import Reason

DEATHS = 2


def one_by_one(
    fn: Callable[[Any], Any], items: Iterable[Any], cpu_s: float, wall_s: float, stop: object = False
) -> Iterator[tuple[Any, Any]]:
    """Each item with `fn(item)` from a child, or with a Failure if it ran out of time or killed the child
    twice; ends early when `stop` turns true."""
    child = Child()
    for item in items:
        if stop:
            break
        yield item, attempt(partial(child.run, fn, item), cpu_s, wall_s)
    child.close()


def attempt(ask: Callable[[], Any], cpu_s: float, wall_s: float) -> Any:
    """The answer of a child; a Failure if it ran out of time, or was killed twice."""
    for _ in range(DEATHS):
        try:
            return ask()
        except ChildDied as died:
            death = died
            if death.signal == signal.SIGPROF:
                return Failure(Reason.TIMEOUT, f"not done within {cpu_s:g} s of processor time")
            if death.signal == signal.SIGALRM:
                return Failure(Reason.TIMEOUT, f"not done within {wall_s:g} s of wall time")
    return Failure(Reason.KILLED_WORKER, f"the process that opened it was {death}, twice")


def run_guarded(task: PassTask) -> tuple[int, float]:
    """As `run_pass`, but a record that kills the process costs that record alone."""
    return write_as_computed(task, _record_by_record(task))


def _record_by_record(task: PassTask) -> Iterator[pa.Table]:
    compute, stop = partial(_compute, task), StopFlag(task.run)
    for offset, answer in one_by_one(compute, task.offsets(), task.cpu_s, task.wall_s, stop):
        failed = isinstance(answer, Failure)
        yield _failed_row(task, offset, answer) if failed else unpack(answer)


_rows: Callable[[int], pa.Table] | None = None
"""Computes a row of the one task that a child is for."""


def _compute(task: PassTask, offset: int) -> str:
    global _rows
    _rows = _rows or _worker(task)
    return pack(_rows(offset))


def _worker(task: PassTask) -> Callable[[int], pa.Table]:
    """What computes a row; the limits of a record do not count the loading of a model."""
    if is_model_pass(task):
        preparer, computer = Preparer(task), Computer(task)
        return lambda offset: computer.compute(Rows([offset], preparer.prepare([offset])))
    runner = BatchRunner(task, read_inputs(task))
    return lambda offset: next(iter(runner.tables([offset])))


def _failed_row(task: PassTask, offset: int, failure: Failure) -> pa.Table:
    fields: list[tuple[pa.Field, pa.Array]] = [
        (pa.field("offset", pa.int32()), pa.array([offset], pa.int32()))
    ]
    for spec in task.operators:
        wanted = bool(task.need[spec.name][offset])
        state = np.array([FAILED if wanted else NOT_COMPUTED], np.int8)
        fields += state_columns(spec.name, state, {0: failure} if wanted else {}, 1)
        for column in spec.build().writes():
            fields.append((column.field(), pa.nulls(1, column.dtype)))
    return pa.Table.from_arrays([a for _, a in fields], schema=pa.schema([f for f, _ in fields]))
