"""One pass over one part: the unit of work that Ray or a child process runs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from thresher.operators.base import Measure
from thresher.operators.registry import get
from thresher.pipelines.execute.batches import BatchRunner
from thresher.pipelines.store.catalog import Catalog
from thresher.pipelines.store.files import FileInfo
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
    """JSON-ready description of one part's work."""

    run: str
    table: str
    part: int
    part_rows: int
    folder: str
    operators: list[OperatorSpec]
    need: dict[str, list[int] | None]
    """Operator -> offsets to compute; None means every row."""
    roots: dict[str, str]
    spool: str
    cpu_s: float
    wall_s: float
    flush_s: float

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "PassTask":
        """The inverse of `dataclasses.asdict` after a trip through JSON."""
        specs = [
            OperatorSpec(**{**o, "reads": {c: (w[0], w[1]) for c, w in o["reads"].items()}})
            for o in data["operators"]
        ]
        return PassTask(**{**data, "operators": specs})

    def offsets(self) -> list[int]:
        """Every row that some operator needs, ascending."""
        if any(rows is None for rows in self.need.values()):
            return list(range(self.part_rows))
        return sorted({row for rows in self.need.values() for row in rows or ()})

    def needed(self) -> dict[str, set[int] | None]:
        """`need` with sets, for look-ups."""
        return {name: None if rows is None else set(rows) for name, rows in self.need.items()}


@dataclass
class PassResult:
    """What a task did."""

    part: int
    rows: int
    seconds: float
    files: list[FileInfo]
    stopped: bool = False
    failed: int = 0
    guarded: bool = False

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "PassResult":
        """The inverse of `dataclasses.asdict` after a trip through JSON."""
        return PassResult(**{**data, "files": [FileInfo(*f) for f in data["files"]]})


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


def run_pass(task: PassTask) -> PassResult:
    """Compute the missing rows of one part and write them; stops early at the run's stop file."""
    started = time.monotonic()
    stop = StopFlag(task.run)
    runner = BatchRunner(task, read_inputs(task))
    offsets = task.offsets()
    files: list[FileInfo] = []
    pending: list[pa.Table] = []
    done = 0
    flushed = started
    for table in runner.tables(offsets, stop):
        pending.append(table)
        done += table.num_rows
        if time.monotonic() - flushed > task.flush_s:
            files.append(_write(task, pending, final=False))
            pending, flushed = [], time.monotonic()
    runner.close()
    stopped = done < len(offsets)
    if pending:
        files.append(_write(task, pending, final=not stopped))
    return PassResult(task.part, done, time.monotonic() - started, files, stopped, runner.failed)


def _write(task: PassTask, pending: list[pa.Table], final: bool) -> FileInfo:
    table = pa.concat_tables(pending)
    return write_fragment(Path(task.folder), task.part, task.part_rows, table, final)


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


def as_offsets(mask: np.ndarray) -> list[int] | None:
    """Offsets where `mask` holds; None when it holds everywhere."""
    return None if mask.all() else np.flatnonzero(mask).tolist()
