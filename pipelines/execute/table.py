"""One table's run: walks the chain of steps, computes what is missing, decides, exports."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.operators.base import Context, Runner
from thresher.operators.ingest import Source
from thresher.operators.shuffle import save_array
from thresher.pipelines.execute import ingest as ingesting
from thresher.pipelines.execute.answers import Answers, asks_a_model
from thresher.pipelines.execute.deciding import decide
from thresher.pipelines.execute.state import DROPPED, FAILED, TableState
from thresher.pipelines.execute.task import OperatorSpec, PassTask
from thresher.pipelines.execute.usage import forget_notes, gather, remember
from thresher.pipelines.plan.compile import CATALOG_COLUMNS, WORDS, StepPlan, TablePlan, pass_name
from thresher.pipelines.plan.fingerprint import digest, live_digest
from thresher.pipelines.store.catalog import Catalog
from thresher.pipelines.store.files import RESTORE
from thresher.pipelines.store.fragments import FAILED as STATE_FAILED
from thresher.pipelines.store.fragments import NOT_COMPUTED, ColumnStore, PassFolder
from thresher.pipelines.store.reader import RunTable, Writer
from thresher.schemas.errors import ThresherError
from thresher.schemas.ids import keyed_hash, mix64, words_of
from thresher.schemas.reasons import Reason

if TYPE_CHECKING:
    from thresher.pipelines.execute.run import Run

BROKEN_AFTER = 8
"""A Measure that gives no value for any of at least 8 records stops the run."""
DISTRUSTED = (
    "the model failed its test on drawn pictures: none of its verdicts is used, and the captions stay as they"
    " were, unverified. Take another verifier"
)


class Missing(Exception):
    """In a plan: nothing can be evaluated before new files have been entered."""


class TableRun:
    """Executes a TablePlan. `run.dry` computes nothing and writes nothing outside its scratch folder."""

    def __init__(self, run: "Run", plan: TablePlan, sources: list[Source]) -> None:
        self.run, self.plan, self.sources = run, plan, sources
        self.catalog = Catalog(run.folder / "catalog" / plan.name)
        self.store = ColumnStore(run.folder / "columns" / plan.name)
        self.roots = {s.name: s.root for s in sources}
        self.given = {s.name: (s.params.licence, s.params.synthetic) for s in sources}
        self.spool = run.folder / "media" / plan.name / "ingest"
        self.decisions: dict[str, Path] = {}
        """Decide label -> folder of its decisions."""
        self.computed: list[tuple[str, int]] = []
        """(step, rows) that this run computed, or in a plan would compute."""
        self.problems: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        """What Decide steps found that the user should know."""
        self.export_folder: Path | None = None
        self.listed_bytes = 0
        self.ledger_folder: str | None = None
        self._staged: set[int] = set()
        self.pending: set[str] = set()
        """In a plan: steps that the run would compute, so that what reads them cannot be evaluated."""

    presence: ingesting.Presence
    beyond: np.ndarray
    """Rows that `--limit` leaves out."""
    state: TableState

    # --- ingest -------------------------------------------------------------------------------

    def ingest(self) -> None:
        """Enter new records; set up the state of every row."""
        self.catalog.check()
        listed = ingesting.list_sources(self.sources)
        for source, listing in listed:
            self.problems += listing.problems
            self.listed_bytes += int(pc.sum(listing.units["size"]).as_py() or 0)
            locked = any(p["reason"] == "unreadable" and p["path"] in ("", ".") for p in listing.problems)
            if locked and not listing.units.num_rows:
                raise ThresherError("the folder cannot be read", source.root, "Mend its rights and run again")
        if not self.catalog.rows and self.store.passes:
            raise ThresherError("the catalog of this run has vanished", str(self.catalog.folder), RESTORE)
        self._check_kind()
        known = ingesting.known_units(self.catalog)
        new = sum(ingesting.new_units(*one, known).num_rows for one in listed)
        if new and self.run.dry:
            self.computed.append(("ingest", new))
            raise Missing("ingest")
        if new:
            with self.run.step(self.plan.name, "ingest", new) as step, self.run.stopper.interruptible():
                self.spool.mkdir(parents=True, exist_ok=True)
                size, runner = self.run.loaded.recipe.part_size, self.run.executor(new)
                limits = self.run.profile.record_cpu_s, self.run.profile.record_wall_s
                entered = ingesting.enter(
                    self.catalog, listed, known, size, runner, self.spool, limits, step.advance
                )
            self.computed.append(("ingest", entered))
            known = ingesting.known_units(self.catalog)
        self.store.check(self.catalog.rows)
        presence = ingesting.presence(listed, known)
        self.problems += ingesting.empty_sources(listed, known)
        self.problems += ingesting.noted(self.catalog, presence)
        self._start(known, presence)

    def _check_kind(self) -> None:
        """Refuse a table of another kind of record than the run has entered under its name."""
        held = self.catalog.read(0, ["kind"])["kind"][0].as_py() if self.catalog.rows else self.plan.record
        if held != self.plan.record:
            wanted = WORDS[self.plan.record]
            raise ThresherError(
                f"the table {self.plan.name!r} of this run holds {WORDS[held]}, the recipe's {wanted}",
                str(self.run.folder),
                "Give the table another name, or take another folder with --run",
            )

    def _start(self, known: pa.Table, presence: ingesting.Presence) -> None:
        self.presence = presence
        self.beyond = np.zeros(known.num_rows, np.bool_)
        first, second = words_of(known["id"]).T
        self.state = TableState(self.catalog.starts, (first, second), known["version"].to_numpy())
        before = np.ones(self.state.rows, np.bool_)
        self.state.status[~presence.present] = FAILED
        self.state.status[~presence.newest] = DROPPED
        reasons = Counter({str(Reason.SUPERSEDED): int((~presence.newest).sum())})
        reasons[str(Reason.MISSING_SOURCE)] = int((presence.newest & ~presence.present).sum())
        for part in range(self.state.parts):
            column = self.catalog.read(part, ["reason"])["reason"]
            bad = column.is_valid().to_numpy() & self.state.part(self.state.live, part)
            self.state.end(part, bad, FAILED)
            reasons.update(column.filter(pa.array(bad)).to_pylist())
        self._limit(reasons)
        self.state.count("ingest", "ingest", before, +reasons)

    def _limit(self, reasons: Counter[str]) -> None:
        """`--limit N`: only the N live records with the smallest keyed hash go on."""
        limit, live = self.run.limit, np.flatnonzero(self.state.live)
        if limit is None or len(live) <= limit:
            return
        hashes = keyed_hash(self.state.halves[0][live], "limit", self.run.loaded.recipe.seed)
        beyond = live[np.lexsort((self.state.halves[0][live], hashes))[limit:]]
        self.state.status[beyond] = DROPPED
        self.beyond[beyond] = True
        reasons[str(Reason.QUOTA)] += len(beyond)

    # --- the chain ----------------------------------------------------------------------------

    def steps(self) -> None:
        """Run every step but the export, in order."""
        for step in self.plan.steps:
            if step.kind == "measure":
                self._measure(step)
            elif step.kind == "decide":
                decide(self, step)

    def digest(self) -> str:
        """Digest of the records that are live now."""
        return live_digest(self.state.halves, self.state.versions, self.state.live)

    def content(self) -> str:
        """Digest of what an export of the live records holds, whatever their history."""
        reader, sums = self.reader(), np.zeros(2, np.uint64)
        for part in reader.parts:
            sums += mix64(words_of(reader.read(part, ["content"])["content"])).sum(axis=0)
        return digest([int(self.state.live.sum()), *(int(s) for s in sums)])

    def _measure(self, step: StepPlan) -> None:
        index = next(i for i, stage in enumerate(self.plan.stages) if step.label in stage)
        if index not in self._staged:
            self._staged.add(index)
            self._compute([self.plan.step(label) for label in self.plan.stages[index]])
        before = self.state.live
        reasons: Counter[str] = Counter()
        message = ""
        for part in range(self.state.parts):
            live = self.state.part(before, part)
            if not live.any():
                continue
            done = self.store.read(part, len(live), step.operator.name, step.fp, [])
            lost = int((live & (done.state == NOT_COMPUTED)).sum())
            if lost and step.label not in self.pending:
                raise ThresherError(
                    f"{lost} records of part {part} have no result",
                    f"step {step.label}",
                    "Run the same command again: what is missing is computed",
                )
            failed = live & (done.state == STATE_FAILED)
            if failed.any():
                self.state.end(part, failed, FAILED)
                reasons.update(pc.filter(done.reason, pa.array(failed)).to_pylist())
                message = done.message[int(np.flatnonzero(failed)[0])].as_py()
        if reasons[Reason.BAD_VALUE] == int(before.sum()) >= BROKEN_AFTER:
            raise ThresherError(
                f"it gave no value for any of {int(before.sum())} records: {message}",
                f"step {step.label}",
                "This is a fault of the operator, not of the images: mend it, raise its `version`, run again",
            )
        self.state.count(step.label, step.operator.name, before, reasons)

    def _compute(self, steps: list[StepPlan]) -> None:
        """Bring the columns of one pass up to date for the rows that are live now.

        An attempt computes the rows that the first operator lacks, and for them those that read it. Rows
        that only a later one lacks wait for the next; so do readers of what was asked again.
        """
        for attempt in range(len(steps) + 1):
            parts = range(self.state.parts)
            needs = {part: need for part in parts if (need := self._need(steps, part, retry=attempt == 0))}
            if not needs:
                return
            rows = sum(int(np.logical_or.reduce([*need.values()]).sum()) for need in needs.values())
            due = [s.label for s in steps if any(s.operator.name in need for need in needs.values())]
            label = " + ".join(due)
            if self.run.dry:
                self.computed.append((label, rows))
                self.pending |= {*due}
                return
            self._run_pass(steps, needs, rows, label)

    def _need(self, steps: list[StepPlan], part: int, retry: bool) -> dict[str, np.ndarray]:
        """Operator name -> mask of live rows that it has not computed, where there are any."""
        live = self.state.part(self.state.live, part)
        if not live.any():
            return {}
        need = {}
        for step in steps:
            missing = live & self.store.missing(part, len(live), step.operator.name, step.fp, retry)
            missing &= ~self._blocked(step, part, len(live))
            if missing.any():
                need[step.operator.name] = missing
        return need

    def _blocked(self, step: StepPlan, part: int, rows: int) -> np.ndarray:
        """Rows where a Measure that this one reads, or one before that, has failed: they end there."""
        blocked = np.zeros(rows, np.bool_)
        for label in set(step.reads.values()):
            writer = self.plan.step(label)
            if writer.kind == "measure":
                done = self.store.read(part, rows, writer.operator.name, writer.fp, [])
                blocked |= (done.state == STATE_FAILED) | self._blocked(writer, part, rows)
        return blocked

    def _run_pass(
        self, steps: list[StepPlan], needs: dict[int, dict[str, np.ndarray]], rows: int, label: str
    ) -> None:
        profile = self.run.profile
        touched: dict[Path, PassFolder] = {}

        def tasks() -> Iterator[PassTask]:
            for part, need in needs.items():
                if self.run.stopper.stopping:
                    return
                specs = [self._spec(s) for s in steps if s.operator.name in need]
                operators = {s.name: s.fp for s in specs}
                folder = self.store.pass_folder(pass_name(operators), operators)
                folder.create()
                touched[folder.folder] = folder
                yield PassTask(
                    run=str(self.run.folder),
                    table=self.plan.name,
                    part=part,
                    part_rows=self.catalog.rows[part],
                    folder=str(folder.folder),
                    operators=specs,
                    need=need,
                    roots=self.roots,
                    spool=str(self.spool),
                    cpu_s=profile.record_cpu_s,
                    wall_s=profile.record_wall_s,
                    flush_s=profile.flush_s,
                    device=profile.device or "",
                    batch=profile.batch or 0,
                    compile=profile.compile,
                    in_flight=profile.in_flight,
                    memo=str(self.run.memo),
                    budget=self.run.budget,
                )

        done = 0
        forget_notes(self.run.folder, steps[0].fp)
        answers = Answers(self.run.memo) if asks_a_model(steps[0].operator) else None
        with self.run.step(self.plan.name, label, rows, answers) as step:
            try:
                for computed, seconds in self.run.executor(rows).passes(tasks()):
                    done += computed
                    step.advance(computed, seconds)
            finally:  # what a model used counts, also where it stopped the run
                if used := gather(self.run.folder, steps[0].fp):
                    self.run.log("model", table=self.plan.name, step=label, **used)
                    remember(self.run.folder, self.plan.name, label, used)
                    if used.get("distrusted"):
                        self.warnings.append(f"{label}: {DISTRUSTED}")
            for folder in touched.values():
                folder.commit(self.catalog.rows)
            self.computed.append((label, done))
            self.run.stopper.check()

    def _spec(self, step: StepPlan) -> OperatorSpec:
        writers = {column: self.plan.step(label) for column, label in step.reads.items()}
        reads = {column: (writer.operator.name, writer.fp) for column, writer in writers.items()}
        params = step.operator.params.model_dump(mode="json")
        return OperatorSpec(step.operator.name, step.fp, params, reads)

    # --- what global steps use ----------------------------------------------------------------

    def reader(self) -> RunTable:
        """The table as a global step sees it: live rows, columns of the steps so far."""
        writers: dict[str, Writer] = {}
        columns = dict(CATALOG_COLUMNS[self.plan.record])
        for step in self.plan.steps:
            if step.kind == "decide" and step.label not in self.decisions:
                break
            folder = str(self.decisions[step.label]) if step.kind == "decide" else ""
            for column in step.columns:
                columns[column.name] = column
                writers[column.name] = Writer(step.operator.name, step.fp, folder)
        path = self.run.scratch / f"{self.plan.name}-{digest(['live', self.digest()])}.npy"
        if not path.exists():
            save_array(path, self.state.live)
        return RunTable(str(self.run.folder), self.plan.name, columns, writers, str(path), self.given)

    def context(self, label: str, runner: Runner) -> Context:
        """What a global step is given, with an empty scratch folder."""
        scratch = self.run.scratch / self.plan.name / label
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        seed = self.run.loaded.recipe.seed
        return Context(runner, scratch, seed, label, self.roots, str(self.spool))
