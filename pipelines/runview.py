"""A run directory, opened to be read: the report, `explain` and `status` see runs through this."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from thresher.operators.registry import get
from thresher.pipelines.plan.compile import CATALOG_COLUMNS
from thresher.pipelines.plan.rates import step_seconds
from thresher.pipelines.store.catalog import Catalog
from thresher.pipelines.store.files import read_json, read_table
from thresher.pipelines.store.manifest import check_folder, part_name
from thresher.pipelines.store.reader import RunTable, Writer
from thresher.pipelines.view import Bound, StepCount
from thresher.schemas import Column, UsageError

if TYPE_CHECKING:
    from thresher.operators.views.opener import Opener


class OpenRun:
    """Implements `view.RunView` over the files of a run that has finished at least once."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.folder, self._plan = folder, plan

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self._plan["recipe"]["name"])

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
        """Label of a Decide step -> what it found out."""
        decisions = self.plan(table)["decisions"]
        return {label: read_json(self.folder / d / "facts.json") or {} for label, d in decisions.items()}

    def bounds(self, table: str) -> list[Bound]:
        """Every bound as evaluated in this run."""
        found = []
        for label, facts in self.facts(table).items():
            found += [Bound(**{"step": label} | bound) for bound in facts.get("bounds", [])]
        return found

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

    def opener(self, table: str) -> "Opener":
        """Reads the table's media."""
        from thresher.operators.views.opener import Opener

        return Opener(self.plan(table)["roots"], str(self.folder / "media" / table / "ingest"))

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
        others = sorted(p.parent for p in Path(export).parent.glob("*/dataset.json"))
        mine = [p for p in others if not p.is_symlink() and p != Path(export) and self._made(p, table)]
        return [Path(export), *mine]

    def _made(self, export: Path, table: str) -> bool:
        """True if this recipe made it: the folder of `export.to` may be shared."""
        made = (read_json(export / "dataset.json") or {}).get("identity", {})
        return (made.get("recipe"), made.get("table")) == (self.name, table)

    def reader(self, table: str) -> RunTable:
        """All rows with every column."""
        return self._readers[table]

    def check(self) -> Self:
        """Itself, if no file of the run lost a row (conservation); else raises ThresherError."""
        from thresher.pipelines.store.fragments import ColumnStore

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
        readers = {}
        for table in self.tables():
            plan = self.plan(table)
            columns: dict[str, Column] = dict(CATALOG_COLUMNS)
            writers: dict[str, Writer] = {}
            for step in plan["steps"]:
                folder = plan["decisions"].get(step["label"], "")
                cls = get(step["operator"])
                operator = cls(cls.params_model(**step["params"]))
                for column in operator.writes():
                    columns[column.name] = column
                    path = str(self.folder / folder) if folder else ""
                    writers[column.name] = Writer(step["operator"], step["fingerprint"], path)
            readers[table] = RunTable(str(self.folder), table, columns, writers)
        return readers

    def _ledger_folder(self, table: str) -> Path:
        ledger = self.plan(table).get("ledger")
        if not ledger:
            raise UsageError(
                f"the run has not finished the table {table!r} yet",
                str(self.folder),
                "Run `thresher run` again: it goes on where it stopped",
            )
        return self.folder / str(ledger)


def open_run(folder: Path) -> OpenRun:
    """Open a run directory. Raises UsageError if it is none."""
    plan = read_json(folder / "plan.json")
    if plan is None:
        raise UsageError(
            "this is no run directory: it has no plan.json",
            str(folder),
            "Give the directory that `thresher run` printed, such as runs/NAME",
        )
    return OpenRun(folder.resolve(), plan)
