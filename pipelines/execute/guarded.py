"""Guarded mode: a part whose worker died is redone one record at a time in a child.

A record that kills the child twice fails with `killed_worker`; one that runs out of time fails
with `timeout`. The child goes on with the next record.
"""

import dataclasses
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from thresher.operators.base import Failure
from thresher.pipelines.execute.batches import state_columns
from thresher.pipelines.execute.child import Child, ChildDied, unpack
from thresher.pipelines.execute.task import PassResult, PassTask, StopFlag
from thresher.pipelines.store.files import FileInfo
from thresher.pipelines.store.fragments import FAILED, NOT_COMPUTED, write_fragment
from thresher.schemas import Reason

DEATHS = 2


def attempt(do: Callable[[], Any], cpu_s: float, wall_s: float) -> Any:
    """`do()`, which asks a child; a Failure if that ran out of time, or was killed twice."""
    for _ in range(DEATHS):
        try:
            return do()
        except ChildDied as died:
            death = died
            if death.signal == signal.SIGPROF:
                return Failure(Reason.TIMEOUT, f"not done within {cpu_s:g} s of processor time")
            if death.signal == signal.SIGALRM:
                return Failure(Reason.TIMEOUT, f"not done within {wall_s:g} s of wall time")
    return Failure(Reason.KILLED_WORKER, f"the process that opened it was {death}, twice")


def run_guarded(task: PassTask) -> PassResult:
    """As `run_pass`, but a record that kills the process costs that record alone."""
    started = time.monotonic()
    stop = StopFlag(task.run)
    needed = task.needed()
    offsets = task.offsets()
    tables: list[pa.Table] = []
    failed = 0
    child = Child()
    request = dataclasses.asdict(task)

    def compute(offset: int) -> Any:
        if not child.running:
            child.call({"do": "open", "task": request})
        return child.call({"do": "record", "offset": offset})

    files: list[FileInfo] = []
    done = 0
    flushed = started
    for offset in offsets:
        if stop:
            break
        if tables and time.monotonic() - flushed > task.flush_s:
            files.append(_write(task, tables, final=False))
            done += len(tables)
            tables, flushed = [], time.monotonic()
        answer = attempt(partial(compute, offset), task.cpu_s, task.wall_s)
        if isinstance(answer, Failure):
            tables.append(_failed_row(task, offset, needed, answer))
            failed += 1
        else:
            tables.append(unpack(answer))
    child.close()
    done += len(tables)
    if tables:
        files.append(_write(task, tables, final=done == len(offsets)))
    seconds = time.monotonic() - started
    return PassResult(task.part, done, seconds, files, done < len(offsets), failed, guarded=True)


def _write(task: PassTask, tables: list[pa.Table], final: bool) -> FileInfo:
    table = pa.concat_tables(tables, promote_options="default")
    return write_fragment(Path(task.folder), task.part, task.part_rows, table, final)


def _failed_row(
    task: PassTask, offset: int, needed: dict[str, set[int] | None], failure: Failure
) -> pa.Table:
    fields: list[tuple[pa.Field, pa.Array]] = [
        (pa.field("offset", pa.int32()), pa.array([offset], pa.int32()))
    ]
    for spec in task.operators:
        rows = needed[spec.name]
        wanted = rows is None or offset in rows
        state = np.array([FAILED if wanted else NOT_COMPUTED], np.int8)
        fields += state_columns(spec.name, state, {0: failure} if wanted else {}, 1)
        for column in spec.build().writes():
            fields.append((column.field(), pa.nulls(1, column.dtype)))
    return pa.Table.from_arrays([a for _, a in fields], schema=pa.schema([f for f, _ in fields]))
