"""How long what is missing will take: measured on this machine, never guessed from a table."""

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from thresher.operators.ingest import Source, list_source, scan
from thresher.pipelines.execute.batches import BatchRunner, set_timers
from thresher.pipelines.execute.child import Child, ChildDied
from thresher.pipelines.execute.task import OperatorSpec, PassTask
from thresher.schemas.ids import keyed_hash

if TYPE_CHECKING:
    from thresher.pipelines.execute.run import Run
    from thresher.pipelines.execute.table import TableRun

SAMPLE = 24
START_S = 6.0
"""Starting and stopping Ray."""
GLOBAL_S = 0.2
"""A global step over a small table: reading, deciding, writing."""
DECIDE_S, EXPORT_S, ENTER_S = 0.0003, 0.005, 0.002
"""Deciding, exporting (with the report) and entering one record, until the run has measured its own."""


def estimate(run: "Run", table: "TableRun", rates: dict[str, float]) -> float:
    """Seconds that the missing work of a table will take with the run's profile."""
    workers = 1 if run.local else run.profile.workers or os.cpu_count() or 1
    seconds = 0.0
    sampled: float | None = None
    entered = dict(table.computed).get("ingest")
    for label, rows in planned(table):
        rate = rates.get(label)
        if label == "ingest":
            continue
        if "+" in label or label in _measures(table):
            if rate is None:
                sampled = _sample(run, table) if sampled is None else sampled
                rate = sampled
            seconds += rows * rate if run.alone(rows) else START_S + rows * rate / workers
        else:
            guess = EXPORT_S if label == "export" else DECIDE_S
            seconds += GLOBAL_S + rows * (guess if rate is None else rate)
    return seconds + (1 + ENTER_S * entered if entered else 0)


def planned(table: "TableRun") -> list[tuple[str, int]]:
    """(step, rows) that a run would compute; on a new pool every step, with rows as listed."""
    entered = dict(table.computed).get("ingest")
    if not entered or hasattr(table, "state"):
        return table.computed
    passes = [(" + ".join(stage), entered) for stage in table.plan.stages]
    rest = [(s.label, entered) for s in table.plan.steps if s.kind != "measure"]
    return [("ingest", entered), *passes, *rest]


def _measures(table: "TableRun") -> set[str]:
    return {s.label for s in table.plan.steps if s.kind == "measure"}


def _sample(run: "Run", table: "TableRun") -> float:
    """Seconds for a record, over a few records chosen by hash, in a process that may crash."""
    specs = [
        OperatorSpec(s.operator.name, s.fp, s.operator.params.model_dump(mode="json"))
        for label in table.plan.stages[0]
        if (s := table.plan.step(label)) and not s.reads
    ]
    child = Child()
    try:
        rates = [
            child.run(_time_records, (source, specs, run.profile.record_cpu_s)) for source in table.sources
        ]
        weights = [r[1] for r in rates]
        return sum(r[0] * w for r, w in zip(rates, weights, strict=True)) / max(1, sum(weights))
    except ChildDied:
        return 0.03
    finally:
        child.close()


def _time_records(item: tuple[Source, list[OperatorSpec], float]) -> tuple[float, int]:
    """(seconds for a record, records in the listing) of one source."""
    import numpy as np
    import pyarrow as pa

    source, specs, cpu_s = item
    units = list_source(source).units
    if source.kind != "folder" or not units.num_rows:
        return 0.0, 0
    order = np.argsort(keyed_hash(np.arange(units.num_rows, dtype=np.uint64), "estimate", 0))
    chosen = units.sort_by("uri").take(pa.array(order[:SAMPLE]))
    rows = scan(source, chosen, "", partial(set_timers, cpu_s, cpu_s * 5)).slice(0, SAMPLE)
    task = PassTask("", "", 0, rows.num_rows, "", specs, {s.name: None for s in specs},
                    {source.name: source.root}, "", cpu_s, cpu_s * 5, 60)  # fmt: skip
    runner: Any = BatchRunner(task, rows)
    list(runner.tables([0]))
    started = time.perf_counter()
    for _ in runner.tables(range(rows.num_rows)):
        pass
    return (time.perf_counter() - started) / rows.num_rows, units.num_rows
