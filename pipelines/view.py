"""A run directory as those see it who only read it: the report, `explain`, `status`, `gc`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from thresher.operators.views.opener import Opener
from thresher.pipelines.plan.compile import CATALOG_COLUMNS, unpacked
from thresher.pipelines.plan.rates import logged, step_seconds
from thresher.pipelines.store.catalog import Catalog
from thresher.pipelines.store.files import read_json, read_table
from thresher.pipelines.store.fragments import ColumnStore
from thresher.pipelines.store.manifest import check_folder, part_name
from thresher.pipelines.store.reader import RunTable, Writer
from thresher.schemas import Column, UsageError


@dataclass(frozen=True)
class StepCount:
    """One row of the funnel: `entered == kept + dropped + failed`."""

    label: str
    operator: str
    entered: int
    kept: int
    dropped: int
    failed: int
    reasons: dict[str, int] = field(default_factory=dict)
    """Reason -> records, dropped and failed together, most frequent first."""
    seconds: float | None = None
    """Worker seconds of the last pass that computed something, if known."""


@dataclass(frozen=True)
class Bound:
    """One comparison of a predicate with a number, as evaluated in this run."""

    step: str
    reason: str
    """The drop's reason, or `keep_anyway`."""
    column: str
    operator: str
    """One of < <= > >= == !=."""
    value: float
    expression: str
    """The predicate as written."""
    calibrate: bool = False
    """True when the bound is a quantile and not a published number."""


class RunView:
    """Read-only access to a run that has finished at least once."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.folder, self._plan = folder, plan

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self._plan["recipe"]["name"])

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        return int(self._plan["recipe"].get("seed", 0))

    def tables(self) -> list[str]:
        """Tables of the recipe."""
        return list(self._plan["tables"])

    def plan(self, table: str) -> dict[str, Any]:
        """The table's entry in `plan.json`."""
        return dict(self._plan["tables"][table])

    def funnel(self, table: str) -> list[StepCount]:
        """Steps in recipe order; the first is `ingest`."""
        counts = read_json(self._ledger_folder(table) / "funnel.json") or []
        spent = step_seconds(self.folder)
        return [StepCount(**c | {"seconds": spent.get(c["label"])}) for c in counts]

    def facts(self, table: str) -> dict[str, dict[str, Any]]:
        """Label of a step -> what a Decide found out, and what a model did."""
        models = (read_json(self.folder / "log" / "models.json") or {}).get(table, {})
        return models | {k: read_json(p / "facts.json") or {} for k, p in self.decisions(table).items()}

    def models(self, table: str) -> list[dict[str, Any]]:
        """What the model of a step did in a pass, for each pass of the run so far."""
        return [line for line in logged(self.folder, "model") if line["table"] == table]

    def bounds(self, table: str) -> list[Bound]:
        """Every bound as evaluated in this run."""
        facts = self.facts(table).items()
        return [
            Bound(**{"step": label} | bound) for label, found in facts for bound in found.get("bounds", [])
        ]

    def columns(self, table: str) -> Mapping[str, Column]:
        """Every readable column."""
        return self.reader(table).columns

    def parts(self, table: str) -> Sequence[int]:
        """Numbers of all parts."""
        return range(len(self.catalog(table).rows))

    def catalog(self, table: str) -> Catalog:
        """The table's catalog."""
        return Catalog(self.folder / "catalog" / table)

    def ledger(self, table: str, part: int) -> pa.Table:
        """Ledger rows of a part."""
        return read_table(self._ledger_folder(table) / part_name(part))

    def values(self, table: str, part: int, columns: Sequence[str]) -> pa.Table:
        """Columns of all rows of a part; null where not computed."""
        return self.reader(table).read_all(part, columns)

    def opener(self, table: str) -> Opener:
        """Reads the table's media."""
        return Opener(self.plan(table)["roots"], str(self.folder / "media" / table / "ingest"))

    def fwd(self, table: str) -> dict[str, Any] | None:
        """What `thresher fwd` found last, if it ran; `earlier`: in a state that the run is no longer in."""
        found = read_json(self.folder / "fwd" / f"{table}.json")
        return found and found | {"earlier": found["ledger"] != self.plan(table)["ledger"]}

    def problems(self, table: str) -> list[dict[str, Any]]:
        """What the listing could not enter."""
        return list(self.plan(table).get("problems", []))

    def decisions(self, table: str) -> dict[str, Path]:
        """Label of a Decide step -> folder of its decisions, in recipe order."""
        return {k: self.folder / v for k, v in self.plan(table)["decisions"].items()}

    def exports(self, table: str) -> list[Path]:
        """The table's export, then finished earlier ones of this recipe and table that are still there."""
        export = self.plan(table).get("export")
        if not export:
            return []
        this = self.folder / export
        others = sorted(p.parent for p in this.parent.glob("*/dataset.json"))
        mine = [p for p in others if not p.is_symlink() and p != this and self._made(p, table)]
        return [this, *mine]

    def _made(self, export: Path, table: str) -> bool:
        """True if this recipe made it: the folder of `export.to` may be shared."""
        made = (read_json(export / "dataset.json") or {}).get("identity", {})
        return (made.get("recipe"), made.get("table")) == (self.name, table)

    def reader(self, table: str) -> RunTable:
        """All rows with every column."""
        return self._readers[table]

    def check(self) -> Self:
        """Itself, if no file of the run lost a row (conservation); else raises ThresherError."""
        for table in self.tables():
            catalog = self.catalog(table)
            catalog.check()
            ColumnStore(self.folder / "columns" / table).check(catalog.rows)
            for label, folder in self.decisions(table).items():
                check_folder(folder, label)
            check_folder(self._ledger_folder(table), "ledger", catalog.rows)
        return self

    @cached_property
    def _readers(self) -> dict[str, RunTable]:
        return {table: self._reader(table) for table in self.tables()}

    def _reader(self, table: str) -> RunTable:
        columns: dict[str, Column] = dict(CATALOG_COLUMNS[self.plan(table).get("record", "image")])
        writers: dict[str, Writer] = {}
        for step in self.plan(table)["steps"]:
            folder = str(self.decisions(table).get(step["label"], ""))
            if "schema" not in step:
                what = "the run was made by an older version, which did not note its columns"
                raise UsageError(what, str(self.folder), "Run its recipe again: nothing is computed anew")
            for column in unpacked(step["schema"]):
                columns[column.name] = column
                writers[column.name] = Writer(step["operator"], step["fingerprint"], folder)
        return RunTable(str(self.folder), table, columns, writers)

    def _ledger_folder(self, table: str) -> Path:
        ledger = self.plan(table).get("ledger")
        if not ledger:
            raise UsageError(
                f"the run has not finished the table {table!r} yet",
                str(self.folder),
                "Run `thresher run` again: it goes on where it stopped",
            )
        return self.folder / str(ledger)
