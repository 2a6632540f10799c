"""The export of a table: where it goes, what it is called, and which one is the latest."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.operators.base import Export, Runner
from thresher.operators.export.manifest import MANIFEST, read_finished
from thresher.operators.export.previous import Previous
from thresher.pipelines.execute.progress import Step
from thresher.pipelines.plan.fingerprint import combine, digest, values_of

if TYPE_CHECKING:
    from thresher.pipelines.execute.table import TableRun


def export_table(table: "TableRun") -> None:
    """Write the table's shards, unless this very export exists; then point `latest` at it."""
    run = table.run
    step = next((s for s in table.plan.steps if s.kind == "export"), None)
    if step is None:
        return
    assert isinstance(step.operator, Export)
    rows = int(table.state.live.sum())
    if table.pending:
        table.computed.append((step.label, rows))
        return
    to = getattr(step.operator.params, "to", None)
    base = run.folder / "export" / table.plan.name if to is None else run.loaded.base / to
    identity = _identity(table)
    fp = combine([step.fp, table.content(), digest(identity)])
    target = table.export_folder = base / fp
    finished = read_finished(target)
    if not (finished and Previous(target, finished).whole()):
        table.computed.append((step.label, rows))
        if run.dry:
            return
        if finished:  # but a file is gone, or not of its size: what is missing is written anew
            (target / MANIFEST).unlink()
        with run.step(table.plan.name, step.label, rows) as progress, run.stopper.interruptible():
            latest = base / "latest"
            again, decodes = latest.exists(), step.operator.decodes
            executor = run.exporter(_seconds(table, rows, again, decodes), again and not decodes)
            context = table.context(step.label, _Counting(executor, progress, rows))
            previous = str(latest.resolve()) if (latest / MANIFEST).exists() else None
            identity |= {"fingerprint": fp, "previous": previous}
            step.operator.export(table.reader(), context, str(target), identity)
            shutil.rmtree(context.scratch, ignore_errors=True)
    if not run.dry and (run.limit is None or not (base / "latest").exists()):
        _point(base / "latest", fp)


def _identity(table: "TableRun") -> dict[str, Any]:
    """What `dataset.json` says of the export's origin: values only, no path, time, host or history."""
    recipe = table.run.loaded.recipe
    return {
        "recipe": recipe.name,
        "table": table.plan.name,
        "seed": recipe.seed,
        "sources": {name: {"licence": g[0], "synthetic": g[1]} for name, g in sorted(table.given.items())},
        "records": int(table.state.live.sum()),
        "funnel": [[c.label, c.kept] for c in table.state.counts[1:]],
        "steps": [
            {
                "step": s.label,
                "operator": s.operator.name,
                "version": s.operator.version,
                "params": values_of(s.operator.params),
                "fingerprint": s.fp,
            }
            for s in table.plan.steps
        ],
    }


ROW_S, COPY_S, DECODE_S, BYTE_S = 4e-4, 1e-4, 2e-2, 4e-9
"""One process's time for a new record, for one copied from the export before, for one that is decoded
and encoded, and for a byte (`infra/bench/export.py` and `resume.py`)."""


def _seconds(table: "TableRun", rows: int, again: bool, decodes: bool) -> float:
    size = table.listed_bytes * rows / max(1, table.state.rows)
    new = ROW_S + DECODE_S * decodes
    return rows * (COPY_S if again else new) + size * BYTE_S


ROUNDS = 3
"""Rounds of pieces in an export: bytes of each bucket, rows for each shard, the shards."""


class _Counting:
    """A Runner that shows how many of its pieces are done."""

    def __init__(self, runner: Runner, progress: Step, rows: int) -> None:
        self._runner, self._progress, self._rows = runner, progress, rows

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        pieces = list(items)
        for result in self._runner.map(fn, pieces):
            self._progress.advance(self._rows / (ROUNDS * max(1, len(pieces))))
            yield result


def _point(link: Path, target: str) -> None:
    """Replace a symbolic link atomically."""
    temporary = link.with_name(f".latest.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)
