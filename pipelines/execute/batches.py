"""Inside a pass: open each record once, hand small batches to every Measure, collect their columns."""

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from thresher.operators.base import Batch, Failure, Measure, Values, View
from thresher.operators.values import to_array
from thresher.operators.views import open_record
from thresher.operators.views.opener import MediaError, Opener
from thresher.pipelines.store.fragments import DONE, FAILED, NOT_COMPUTED, spread
from thresher.schemas import Reason, Record, ThresherError
from thresher.schemas.records import records

if TYPE_CHECKING:
    from thresher.pipelines.execute.task import OperatorSpec, PassTask

BATCH_ROWS = 32
BATCH_BYTES = 64 << 20
"""A batch closes at 32 records or 64 MiB of decoded views, so that memory does not grow with the pool."""

Opened = tuple[dict[View, Any], Failure | None]
"""The views of a record, or why it did not open."""

NO_MEMORY = "not enough memory to decode or measure it"
BATCH_PATIENCE = 4
"""A batch may take as long as this many records; past that, the part is redone record by record."""


class BatchRunner:
    """Runs the operators of one pass over rows of one part."""

    def __init__(self, task: "PassTask", inputs: pa.Table) -> None:
        self._task = task
        self._specs = task.operators
        self._operators = [spec.build() for spec in task.operators]
        self._views = frozenset(v for o in self._operators for v in o.views)
        self._inputs = inputs
        self._reads = {c for o in self._operators for c in o.needs()} & {*inputs.column_names}
        self._records: list[Record] = list(records(inputs))
        self._opener = Opener(task.roots, task.spool)

    def tables(self, offsets: Sequence[int], stop: object = False) -> Iterator[pa.Table]:
        """Computed rows, a table for each batch; ends early when `stop` turns true."""
        batch: list[int] = []
        opened: list[Opened] = []
        held = 0
        for offset in offsets:
            if stop:
                break
            batch.append(offset)
            opened.append(self.open(self._records[offset]))
            held += sum(map(_size, opened[-1][0].values()))
            if len(batch) >= BATCH_ROWS or held >= BATCH_BYTES:
                yield self._compute(batch, opened)
                batch, opened, held = [], [], 0
        if batch:
            yield self._compute(batch, opened)
        set_timers(0, 0)

    def close(self) -> None:
        """Close what is open."""
        self._opener.close()

    def open(self, record: Record) -> Opened:
        """The views of a record that the operators ask for."""
        if not self._views:
            return {}, None
        set_timers(self._task.cpu_s, self._task.wall_s)
        try:
            return open_record(record, self._views, lambda m: self._opener.read(record.source, m)), None
        except MediaError as error:
            return {}, Failure(error.reason, error.message)
        except KeyError as error:
            return {}, Failure(Reason.NOT_MEDIA, str(error.args[0]))
        except MemoryError:
            return {}, Failure(Reason.TOO_MANY_PIXELS, NO_MEMORY)

    def _compute(self, batch: list[int], opened: list[Opened]) -> pa.Table:
        columns = {name: self._inputs[name].take(pa.array(batch)) for name in self._reads}
        fields = [(pa.field("offset", pa.int32()), pa.array(batch, pa.int32()))]
        states: dict[str, np.ndarray] = {}
        for spec, operator in zip(self._specs, self._operators, strict=True):
            ready, failures = self._ready(spec, bool(operator.views), batch, opened, states)
            records = min(max(len(ready), 1), BATCH_PATIENCE)
            set_timers(self._task.cpu_s * records, self._task.wall_s * records)
            values = self._measure(operator, ready, batch, opened, columns)
            failures |= {ready[i]: f for i, f in values.failures.items()}
            written = []
            for column in operator.writes():
                array, bad = to_array(values.columns[column.name], column)
                failures |= {ready[i]: f for i, f in bad.items()}
                written.append((column.field(), array))
            states[spec.name] = state = np.full(len(batch), NOT_COMPUTED, np.int8)
            state[ready] = DONE
            state[list(failures)] = FAILED
            fields += state_columns(spec.name, state, failures, len(batch))
            done = state[ready] == DONE
            places = np.asarray(ready, np.int64)[done]
            for field, array in written:
                columns[field.name] = spread(array.filter(pa.array(done)), places, len(batch))
                fields.append((field, columns[field.name]))
        set_timers(0, 0)
        return pa.Table.from_arrays([a for _, a in fields], schema=pa.schema([f for f, _ in fields]))

    def _ready(
        self,
        spec: "OperatorSpec",
        opens: bool,
        batch: list[int],
        opened: list[Opened],
        states: dict[str, np.ndarray],
    ) -> tuple[list[int], dict[int, Failure]]:
        """Positions that the operator can measure, and those whose medium did not open."""
        need = self._task.need[spec.name]
        before = [states[writer] for writer, _ in spec.reads.values() if writer in states]
        ready: list[int] = []
        failures: dict[int, Failure] = {}
        for i, (offset, (_, failure)) in enumerate(zip(batch, opened, strict=True)):
            if not need[offset]:
                continue
            if opens and failure:
                failures[i] = failure
            elif all(state[i] == DONE for state in before):
                ready.append(i)
        return ready, failures

    def _measure(
        self,
        operator: Measure,
        ready: list[int],
        batch: list[int],
        opened: list[Opened],
        columns: dict[str, pa.Array],
    ) -> Values:
        """One call for the batch; if that raises, one for each record, and the culprit fails alone."""

        def call(positions: list[int]) -> Values:
            views = {view: [opened[i][0][view] for i in positions] for view in operator.views}
            reads = {name: columns[name].take(pa.array(positions)) for name in operator.needs()}
            table = pa.table(reads) if reads else None
            return operator.measure(Batch([self._records[batch[i]] for i in positions], views, table))

        names = [c.name for c in operator.writes()]
        if not ready:
            return Values({name: [] for name in names})
        try:
            return call(ready)
        except ThresherError:
            raise
        except Exception:
            return _one_by_one(call, ready, names, operator.name)


def _one_by_one(
    call: Callable[[list[int]], Values], ready: list[int], names: list[str], operator: str
) -> Values:
    columns: dict[str, list[Any]] = {name: [] for name in names}
    failures: dict[int, Failure] = {}
    for i, position in enumerate(ready):
        one = Values({name: [None] for name in names})
        try:
            one = call([position])
        except MemoryError:
            one.failures[0] = Failure(Reason.TOO_MANY_PIXELS, NO_MEMORY)
        except Exception as error:
            one.failures[0] = Failure(Reason.BAD_VALUE, f"{operator} raised {type(error).__name__}: {error}")
        for name in names:
            columns[name].extend(one.columns[name])
        if 0 in one.failures:
            failures[i] = one.failures[0]
    return Values(dict(columns), failures)


def state_columns(
    name: str, state: np.ndarray, failures: dict[int, Failure], rows: int
) -> list[tuple[pa.Field, pa.Array]]:
    reasons: list[str | None] = [None] * rows
    messages: list[str | None] = [None] * rows
    for i, failure in failures.items():
        reasons[i], messages[i] = str(failure.reason), failure.message
    return [
        (pa.field(f"{name}.state", pa.int8()), pa.array(state)),
        (pa.field(f"{name}.reason", pa.string()), pa.array(reasons, pa.string())),
        (pa.field(f"{name}.message", pa.string()), pa.array(messages, pa.string())),
    ]


def _size(view: Any) -> int:
    if isinstance(view, list):
        return sum(map(_size, view))
    return int(getattr(view, "nbytes", 0)) or (len(view) if isinstance(view, bytes) else 0)


def set_timers(cpu_s: float, wall_s: float) -> None:
    """Let the kernel kill this process if one record takes too long, even inside C code.

    SIGPROF means processor time, SIGALRM wall time; the parent reads the reason from the signal. Zeros
    stop the timers: workers are reused, so they must not outlive their part.
    """
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    signal.setitimer(signal.ITIMER_REAL, wall_s)
