"""A Decide step of a table: run where its live rows or what it reads have changed, then taken over."""

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.base import Decide
from thresher.pipelines.execute.state import DROPPED
from thresher.pipelines.plan.compile import StepPlan
from thresher.pipelines.plan.fingerprint import combine
from thresher.pipelines.store.files import read_json, read_table, write_json, write_table
from thresher.pipelines.store.manifest import check_folder, part_name, write_manifest
from thresher.pipelines.store.reader import offsets_of
from thresher.schemas.decisions import DECISION
from thresher.schemas.errors import ThresherError

if TYPE_CHECKING:
    from thresher.pipelines.execute.table import TableRun


def decide(table: "TableRun", step: StepPlan) -> None:
    """Make the step's decisions, unless these very ones exist, and take them over."""
    run, rows = table.run, int(table.state.live.sum())
    read = sorted({table.decisions[c].name for c in step.reads.values() if c in table.decisions})
    fp = combine([step.fp, table.digest(), *read])
    folder = run.folder / "global" / table.plan.name / f"{step.label}@{fp}"
    if read_json(folder / "facts.json") is None:
        table.computed.append((step.label, rows))
        if run.dry:
            folder = run.scratch / f"{step.label}@{fp}"
            earlier = table.plan.steps[: table.plan.steps.index(step)]
            hangs_on = {*step.reads.values(), *(s.label for s in earlier if s.kind == "decide")}
            if table.pending & hangs_on:
                table.pending.add(step.label)
                table.state.count(step.label, step.operator.name, table.state.live, {})
                return
        _make(table, step, rows, folder)
    table.decisions[step.label] = folder
    found = read_json(folder / "facts.json") or {}
    table.warnings += [f"{step.label}: {said}" for said in found.get("warnings", [])]
    _take_over(table, step, folder)


def _make(table: "TableRun", step: StepPlan, rows: int, folder: Path) -> None:
    assert isinstance(step.operator, Decide)
    schema = pa.schema([*DECISION, *(c.field() for c in step.columns)])
    with table.run.step(table.plan.name, step.label, rows) as progress, table.run.stopper.interruptible():
        context = table.context(step.label, table.run.decider(rows))
        infos = []
        for part, decided in step.operator.decide(table.reader(), context):
            decided = decided.select(schema.names).cast(schema).sort_by("row")
            infos.append(write_table(folder / part_name(part), decided))
            progress.advance(decided.num_rows)
        write_manifest(folder, infos)
        write_json(folder / "facts.json", context.facts)
        shutil.rmtree(context.scratch, ignore_errors=True)


def _take_over(table: "TableRun", step: StepPlan, folder: Path) -> None:
    """End what was dropped, after checking that every live record has exactly one decision."""
    present, before = check_folder(folder, step.label), table.state.live
    reasons: Counter[str] = Counter()
    for part in range(table.state.parts):
        live = table.state.part(before, part)
        if not live.any():
            continue
        path, decided = folder / part_name(part), DECISION.empty_table()
        if path.name in present:
            decided = read_table(path, ["row", "kept", "reason"])
        offsets = offsets_of(decided)
        if not np.array_equal(np.sort(offsets), np.flatnonzero(live)):
            raise ThresherError(
                f"{len(offsets)} decisions in {path} are not one for each of {int(live.sum())} records",
                f"step {step.label}",
                f"Delete the folder {folder} and run again: the step is decided anew",
            )
        dropped = np.zeros(len(live), np.bool_)
        dropped[offsets[~decided["kept"].to_numpy(zero_copy_only=False)]] = True
        table.state.end(part, dropped, DROPPED)
        reasons.update(decided["reason"].filter(pc.invert(decided["kept"])).to_pylist())
    table.state.count(step.label, step.operator.name, before, reasons)
