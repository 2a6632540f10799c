"""One pass over one part: the unit of work that Ray or a child process runs."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from thresher.operators.base import Measure
from thresher.operators.registry import get
from thresher.pipelines.execute.batches import BatchRunner
from thresher.pipelines.store.catalog import Catalog
from thresher.pipelines.store.fragments import ColumnStore, write_fragment


@dataclass(frozen=True)
class OperatorSpec:
    """A Measure as a worker makes it."""

    name: str
    fp: str
    params: dict[str, Any]
    reads: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Column -> (operator, fingerprint) that wrote it."""

    def build(self) -> Measure:
        """The operator with its resolved parameters."""
        cls = get(self.name)
        made = cls(cls.params_model(**self.params))
        assert isinstance(made, Measure)
        return made


@dataclass(frozen=True)
class PassTask:
    """Description of one part's work."""

    run: str
    table: str
    part: int
    part_rows: int
    folder: str
    operators: list[OperatorSpec]
    need: dict[str, np.ndarray]
    """Operator -> bool for each row of the part: which to compute."""
    roots: dict[str, str]
    spool: str
    cpu_s: float
    wall_s: float
    flush_s: float
    device: str = ""
    """Where models run; empty: the first GPU of the process, else its CPU."""
    batch: int = 0
    """Records in a model's batch; 0: found by measuring."""
    compile: bool = False
    """Whether torch compiles models before their first batch."""
    in_flight: int = 16
    """Requests to a model's server that the process has under way."""
    memo: str = ""
    """The folder of the answers that are kept; empty: none are."""
    budget: tuple[int | None, float | None] = (None, None)
    """Tokens and money that the run may use."""

    def offsets(self) -> list[int]:
        """Every row that some operator needs, ascending."""
        return np.flatnonzero(np.logical_or.reduce([*self.need.values()])).tolist()


class StopFlag:
    """The run's stop file, looked at five times a second at most."""

    def __init__(self, run: str) -> None:
        self._path = Path(run) / "log" / "stop"
        self._next = 0.0
        self._set = False

    def __bool__(self) -> bool:
        now = time.monotonic()
        if not self._set and now >= self._next:
            self._set, self._next = self._path.exists(), now + 0.2
        return self._set


def run_pass(task: PassTask) -> tuple[int, float]:
    """Compute the missing rows of one part and write them; returns (rows, seconds)."""
    from thresher.pipelines.execute.models import in_slices, is_model_pass

    return write_as_computed(task, in_slices(task) if is_model_pass(task) else _in_batches(task))


def _in_batches(task: PassTask) -> Iterator[pa.Table]:
    runner = BatchRunner(task, read_inputs(task))
    yield from runner.tables(task.offsets(), StopFlag(task.run))
    runner.close()


def write_as_computed(task: PassTask, tables: Iterable[pa.Table]) -> tuple[int, float]:
    """Write the tables of a part; (rows, seconds)."""
    writer = FragmentWriter(task)
    try:
        for table in tables:
            writer.add(table)
    finally:  # what was computed before an error is kept
        ended = writer.close()
    return ended


class FragmentWriter:
    """Writes rows as they are computed, the last of them as the part's whole fragment if that is possible."""

    def __init__(self, task: PassTask) -> None:
        self._task = task
        self._started = self._flushed = time.monotonic()
        self._done = 0
        self._pending: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        """Take some rows; written at least every `flush_s`."""
        if not table.num_rows:
            return
        self._pending.append(table)
        self._done += table.num_rows
        if time.monotonic() - self._flushed > self._task.flush_s:
            self._write(final=False)

    def close(self) -> tuple[int, float]:
        """Write what is left; (rows, seconds)."""
        if self._pending:
            self._write(final=self._done == len(self._task.offsets()))
        return self._done, time.monotonic() - self._started

    def _write(self, final: bool) -> None:
        table = pa.concat_tables(self._pending, promote_options="default")
        write_fragment(Path(self._task.folder), self._task.part, self._task.part_rows, table, final)
        self._pending, self._flushed = [], time.monotonic()


def read_inputs(task: PassTask) -> pa.Table:
    """The part's catalog rows with every column that the operators read from earlier passes."""
    run = Path(task.run)
    table = Catalog(run / "catalog" / task.table).read(task.part)
    own = {(o.name, o.fp) for o in task.operators}
    wanted: dict[tuple[str, str], list[str]] = {}
    for spec in task.operators:
        for column, writer in spec.reads.items():
            if writer not in own:
                wanted.setdefault(writer, []).append(column)
    if wanted:
        store = ColumnStore(run / "columns" / task.table)
        for (operator, fp), columns in wanted.items():
            values = store.read(task.part, task.part_rows, operator, fp, columns).values
            for column in columns:
                table = table.append_column(column, values[column])
    return table
