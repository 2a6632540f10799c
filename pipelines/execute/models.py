"""A pass of one model: records are opened and prepared on the CPU, then go to the device in slices."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from thresher.operators.base import Batch
from thresher.operators.models.model import ModelMeasure
from thresher.pipelines.execute.batches import BatchRunner, set_timers
from thresher.pipelines.execute.computer import Computer, model_of, raised
from thresher.pipelines.execute.task import PassTask, StopFlag, read_inputs
from thresher.schemas import ThresherError
from thresher.schemas.records import records

SLICE = 64
"""Records that are prepared before the next look at the stop file."""


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
        yield from computer.add(rows, preparer.prepare(rows))
    yield from computer.rest()
    preparer.close()


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
            return raised(self._operator, error)

    def close(self) -> None:
        """Close what is open."""
        self._runner.close()
