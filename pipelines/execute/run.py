"""A whole run: lock, plan, every table, ledger and report."""

import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thresher import __version__
from thresher.operators.base import Runner
from thresher.operators.ingest import Source, resolve
from thresher.pipelines.captions.unwritten import nothing_left, unwritten
from thresher.pipelines.execute.executor import InProcess, LocalExecutor
from thresher.pipelines.execute.exporting import export_table
from thresher.pipelines.execute.lock import lock
from thresher.pipelines.execute.on_ray import RayExecutor
from thresher.pipelines.execute.progress import Step, show
from thresher.pipelines.execute.signals import Interrupted, Stopper
from thresher.pipelines.execute.table import Missing, TableRun
from thresher.pipelines.ledger import write_ledger
from thresher.pipelines.plan import Plan, compile_plan
from thresher.pipelines.plan.doubts import doubts
from thresher.pipelines.plan.keys import keyless, missing_keys
from thresher.pipelines.plan.rates import pass_rate
from thresher.pipelines.recipe import LoadedRecipe, Profile
from thresher.pipelines.store.files import read_json, storage_error, write_bytes, write_json
from thresher.pipelines.view import StepCount
from thresher.schemas.errors import FieldError, ThresherError, UsageError

SECONDS_PER_RECORD = 0.03
"""A first guess for a pass over photographs, until the run has measured its own."""
RAY_WORTH_S = 2.0
"""Less estimated work than this does not start Ray."""
MOST_CHILDREN = 4
"""Processes that share what is too little for Ray; each takes half a second to start."""
SMALL = 200_000
"""A global step over fewer rows runs in this process: starting workers would cost more."""
CHILD_WORTH_S = 2.0
"""An export that takes less is not worth the half second of a child's start."""
EXPORT_WORTH_S = 12.0
"""The same for an export, whose guess is a good one: starting Ray takes 6 s, which two workers win back."""


@dataclass
class TableSummary:
    """What a run did to one table."""

    name: str
    funnel: list[StepCount]
    computed: list[tuple[str, int]]
    export: Path | None
    problems: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class RunSummary:
    """What a run did."""

    folder: Path
    tables: list[TableSummary]
    seconds: float
    report: Path | None = None


class Run:
    """One execution of a recipe in a run directory."""

    def __init__(
        self,
        loaded: LoadedRecipe,
        folder: Path,
        profile: Profile | None = None,
        *,
        local: bool = False,
        limit: int | None = None,
        dry: bool = False,
        quiet: bool = False,
        memo: Path | None = None,
    ) -> None:
        self.loaded, self.folder = loaded, folder.resolve()
        self.memo = memo or self.folder / "memo" / "chat"
        """Answers of models, kept by what was asked."""
        self.budget = (loaded.recipe.budget.tokens, loaded.recipe.budget.money)
        self.profile = profile or Profile()
        self.local, self.limit, self.dry = local, limit, dry
        self._sources = {name: self._resolve(name) for name in loaded.recipe.tables}
        names = {table: [s.name for s in sources] for table, sources in self._sources.items()}
        self.plan: Plan = compile_plan(loaded, names)
        self._quiet = quiet or dry
        self._children = LocalExecutor(1 if local else min(self.profile.processes, MOST_CHILDREN))
        self._ray = RayExecutor(self.profile)
        self.stopper = Stopper(self.folder, self._children.kill)
        self._rate = pass_rate(self.folder) or SECONDS_PER_RECORD
        self.scratch = Path()
        self.tables: list[TableRun] = []

    def execute(self) -> RunSummary:
        """Run what is missing. Raises ThresherError, or Interrupted after a signal."""
        started = time.monotonic()
        self._check_keys()
        with lock(self.folder), self.stopper, self._scratch_folder():
            try:
                write_bytes(self.folder / "recipe.yaml", self.loaded.recipe.to_yaml().encode())
                self._save_plan("log/running.json")
                summaries = [self._table(name) for name in self.plan.tables]
            except KeyboardInterrupt:
                raise Interrupted from None
            finally:
                self._children.close()
                self._ray.close()
            report = self._report()
            self._save_plan()
        seconds = time.monotonic() - started
        self.log("run", seconds=seconds, computed=sum(n for s in summaries for _, n in s.computed))
        return RunSummary(self.folder, summaries, seconds, report)

    def rehearse(self) -> list[TableRun]:
        """In a dry run: find out what `execute` would compute, writing nothing."""
        with self._scratch_folder():
            for name, plan in self.plan.tables.items():
                table = TableRun(self, plan, self._sources[name])
                self.tables.append(table)
                try:
                    table.ingest()
                    table.steps()
                    export_table(table)
                except Missing:
                    continue
        return self.tables

    def _check_keys(self) -> None:
        """Raise ThresherError if a step shall ask a server and its key is missing, before a file is read.
        Workers of a cluster have an environment of their own."""
        on_cluster = not self.local and (self.profile.ray_address or os.environ.get("RAY_ADDRESS"))
        steps = [step for table in self.plan.tables.values() for step in table.steps]
        if on_cluster or not any(keyless(step.operator) for step in steps):
            return
        dry = Run(self.loaded, self.folder, self.profile, local=self.local, limit=self.limit, dry=True)
        for error in missing_keys(dry.rehearse()):  # what was computed before asks nobody
            raise error

    def _table(self, name: str) -> TableSummary:
        table = TableRun(self, self.plan.tables[name], self._sources[name])
        self.tables.append(table)
        table.ingest()
        self.stopper.check()
        self._save_plan("log/running.json")
        table.steps()
        write_ledger(table)
        export_table(table)
        self.stopper.check()
        exported = next((step.operator.params for step in table.plan.steps if step.kind == "export"), None)
        table.warnings += unwritten(table.reader(), exported)
        table.warnings += [*doubts(table.plan), *nothing_left(table.state.counts)]
        counts, export = table.state.counts, table.export_folder
        return TableSummary(name, counts, table.computed, export, table.problems, table.warnings)

    def _resolve(self, table: str) -> list[Source]:
        sources: list[Source] = []
        for i, params in enumerate(self.loaded.recipe.tables[table].ingest):
            try:
                source = resolve(params, self.loaded.base)
                if any(s.name == source.name for s in sources):
                    raise FieldError(f"two sources are called {source.name!r}", ("name",), "Name one of them")
            except FieldError as error:
                place = self.loaded.locate(("tables", table, "ingest", i, *error.path))
                raise UsageError(error.what, place, error.mend) from error
            sources.append(source)
        return sources

    def _save_plan(self, name: str = "plan.json") -> None:
        """Every default and fingerprint, and where each step's results are.

        `plan.json` always describes a finished run: until then its readers see the one before.
        """
        plan = {"version": __version__} | self.plan.as_json()
        for table in self.tables:
            entry = plan["tables"][table.plan.name]
            entry["roots"] = table.roots
            entry["decisions"] = {k: str(v.relative_to(self.folder)) for k, v in table.decisions.items()}
            entry["ledger"] = table.ledger_folder
            export = table.export_folder
            if export and export.is_relative_to(self.folder):  # which may move
                export = export.relative_to(self.folder)
            entry["export"] = str(export) if export else None
            entry["problems"] = table.problems
        write_json(self.folder / name, plan)
        if name == "plan.json":
            (self.folder / "log" / "running.json").unlink(missing_ok=True)

    def _report(self) -> Path:
        """Write the page, unless it shows this very result already."""
        path = self.folder / "report.html"
        shown = {t.plan.name: [t.ledger_folder, str(t.export_folder), t.problems] for t in self.tables}
        if path.exists() and read_json(self.folder / "log" / "report.json") == shown:
            return path
        from thresher.pipelines.report import write_report
        from thresher.pipelines.runview import open_run

        self._save_plan()
        with self.step("report", "page", 1), self.stopper.interruptible():
            write_report(open_run(self.folder), path)
        write_json(self.folder / "log" / "report.json", shown)
        return path

    # --- what tables use ----------------------------------------------------------------------

    def alone(self, rows: int) -> bool:
        """True if child processes do it: `--local`, or too little work to start Ray for."""
        return self.local or rows * self._rate < RAY_WORTH_S

    def executor(self, rows: int) -> LocalExecutor | RayExecutor:
        """Runs passes, and functions that open media: Ray, or child processes."""
        return self._executor(self.alone(rows))

    def decider(self, rows: int) -> Runner:
        """Runs pieces of a Decide: in this process while the table is small."""
        return InProcess() if self.dry or rows <= SMALL or self.local else self.executor(rows)

    def exporter(self, seconds: float, copies: bool) -> Runner:
        """For an export of so many seconds of one process: Ray if it runs already or starting it pays;
        this process for a short one that mostly `copies` the one before, and holds no media."""
        if seconds < CHILD_WORTH_S and copies and not self._ray.started:
            return InProcess()
        return self._executor(self.local or (seconds < EXPORT_WORTH_S and not self._ray.started))

    def _executor(self, local: bool) -> LocalExecutor | RayExecutor:
        if local:
            return self._children
        if not self._ray.started:
            self._children.close()
        return self._ray

    @contextmanager
    def step(
        self, table: str, label: str, rows: int, known: Callable[[], str] | None = None
    ) -> Iterator[Step]:
        """Show a step's progress, with what is `known` of it, and log what it took."""
        started = time.monotonic()
        with show(f"{table}: {label}", rows, self._quiet, known) as step:
            yield step
        seconds = time.monotonic() - started
        if not self.dry:
            self.log(
                "step", table=table, step=label, rows=rows, seconds=seconds, worker_seconds=step.worker_s
            )

    def log(self, event: str, **values: Any) -> None:
        """One line of `metrics.jsonl`."""
        line = {"time": round(time.time(), 3), "event": event} | {
            k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in values.items()
        }
        text = json.dumps(line) + "\n"
        try:
            with open(self.folder / "metrics.jsonl", "a") as file:
                file.write(text)
        except OSError as error:
            raise storage_error(error, self.folder / "metrics.jsonl", len(text)) from error

    @contextmanager
    def _scratch_folder(self) -> Iterator[None]:
        if self.dry:
            self.scratch = Path(tempfile.mkdtemp(prefix="thresher-plan-"))
        else:
            shutil.rmtree(self.folder / "scratch", ignore_errors=True)
            # A worker of a killed run may still write: never where this one reads.
            self.scratch = self.folder / "scratch" / secrets.token_hex(4)
            self.scratch.mkdir(parents=True)
        try:
            yield
        finally:
            shutil.rmtree(self.scratch if self.dry else self.folder / "scratch", ignore_errors=True)


__all__ = ["Interrupted", "Run", "RunSummary", "TableSummary", "ThresherError"]
