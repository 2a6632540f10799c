"""A pass of one model: records are opened and prepared on the CPU, then go to the device in slices."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from thresher.operators.base import Batch, Failure, Values
from thresher.operators.models.model import ModelMeasure, ready, spread
from thresher.operators.models.resident import Resident, TooLarge, configure, resident
from thresher.operators.values import to_array
from thresher.pipelines.execute import kept_batch
from thresher.pipelines.execute.batches import BatchRunner, set_timers, state_columns
from thresher.pipelines.execute.task import PassTask, StopFlag, read_inputs
from thresher.pipelines.execute.usage import leave_note
from thresher.pipelines.store import fragments
from thresher.schemas import Reason, ThresherError
from thresher.schemas.records import records

SLICE = 64
"""Records that are prepared and computed before the next look at the stop file."""


def is_model_pass(task: PassTask) -> bool:
    """Whether the pass belongs to a model: such an operator shares its pass with no other."""
    return isinstance(task.operators[0].build(), ModelMeasure)


def on_device(task: PassTask) -> bool:
    """Whether the pass wants a GPU if there is one."""
    operator = task.operators[0].build()
    return isinstance(operator, ModelMeasure) and operator.device == "any"


def in_slices(task: PassTask) -> Iterator[pa.Table]:
    """The computed rows of a part, a table for each slice, in this process; ends early at the stop file."""
    preparer, computer, stop = Preparer(task), Computer(task), StopFlag(task.run)
    for rows in slices(task):
        if stop:
            break
        yield computer.compute(rows, preparer.prepare(rows))
    preparer.close()
    computer.close()


def slices(task: PassTask) -> Iterator[list[int]]:
    """The rows of a task, `SLICE` at a time."""
    offsets = task.offsets()
    for start in range(0, len(offsets), SLICE):
        yield offsets[start : start + SLICE]


class Preparer:
    """The CPU's half of a model pass over one part."""

    def __init__(self, task: PassTask) -> None:
        self._task, self._operator = task, model_of(task)
        self._inputs = read_inputs(task)
        self._records = list(records(self._inputs))
        self._runner = BatchRunner(task, self._inputs)

    def prepare(self, offsets: Sequence[int]) -> list[Any]:
        """For each row what `forward` takes, a Failure, or None."""
        made = [self._prepare(offset) for offset in offsets]
        set_timers(0, 0)
        return made

    def _prepare(self, offset: int) -> Any:
        views, failure = self._runner.open(self._records[offset])
        if failure is not None:
            return failure
        set_timers(self._task.cpu_s, self._task.wall_s)
        names = self._operator.needs()
        columns = self._inputs.slice(offset, 1).select(names) if names else None
        batch = Batch([self._records[offset]], {v: [views[v]] for v in self._operator.views}, columns)
        try:
            return self._operator.prepare(batch)[0]
        except ThresherError:
            raise
        except Exception as error:
            return _raised(self._operator, error)

    def close(self) -> None:
        """Close what is open."""
        self._runner.close()


class Computer:
    """The device's half of a model pass."""

    def __init__(self, task: PassTask) -> None:
        configure(task.device, task.batch, task.compile)
        self._task, self._operator = task, model_of(task)
        self._folder = Path(task.folder)
        self._settled = bool(self._operator.batch or task.batch)

    def compute(self, offsets: Sequence[int], prepared: Sequence[Any]) -> pa.Table:
        """The columns of a slice, as a fragment holds them."""
        values = self._forward(prepared)
        failures, written = dict(values.failures), []
        for column in self._operator.writes():
            array, bad = to_array(values.columns[column.name], column)
            failures |= bad
            written.append((column.field(), array))
        state = np.full(len(offsets), fragments.DONE, np.int8)
        state[list(failures)] = fragments.FAILED
        done = np.flatnonzero(state == fragments.DONE)
        fields = [(pa.field("offset", pa.int32()), pa.array(offsets, pa.int32()))]
        fields += state_columns(self._operator.name, state, failures, len(offsets))
        for field, array in written:
            fields.append((field, fragments.spread(array.take(pa.array(done)), done, len(offsets))))
        return pa.Table.from_arrays([a for _, a in fields], schema=pa.schema([f for f, _ in fields]))

    def close(self) -> None:
        """Leave word of what the model did, for whoever drives the run."""
        leave_note(self._task.run, self._task.operators[0].fp, resident(self._operator))

    def _forward(self, prepared: Sequence[Any]) -> Values:
        """The values of a slice; where the model raises, one record at a time: the culprit fails alone."""
        worker, inputs = resident(self._operator), ready(prepared)
        try:
            if inputs and not self._settled:
                kept_batch.settle(self._folder, worker, inputs[0])
                self._settled = True
            halvings = worker.usage.halvings
            found = worker.run(inputs)
            if worker.usage.halvings > halvings:
                kept_batch.lower(self._folder, worker)
            return spread(found, prepared)
        except TooLarge:
            return self._one_by_one(worker, list(prepared))
        except ThresherError:
            raise
        except Exception:
            return self._one_by_one(worker, list(prepared))

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
                prepared[i] = _raised(self._operator, error)
            else:
                for name, values in found.items():
                    values.extend(row[name])
        if too_large is not None and not worker.usage.records:
            raise too_large
        return spread(found, prepared)


def model_of(task: PassTask) -> ModelMeasure:
    """The one operator of a model pass."""
    (spec,) = task.operators
    operator = spec.build()
    assert isinstance(operator, ModelMeasure)
    return operator


def _raised(operator: ModelMeasure, error: Exception) -> Failure:
    return Failure(Reason.BAD_VALUE, f"{operator.name} raised {type(error).__name__}: {error}")
