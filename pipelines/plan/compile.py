"""A recipe becomes a plan: checked steps with fingerprints, and the passes that compute them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from thresher.operators.base import Export, Measure, Operator, Params
from thresher.operators.captions.columns import not_written
from thresher.operators.registry import get, writer_of
from thresher.pipelines.plan.fingerprint import combine, digest, operator_fingerprint
from thresher.pipelines.recipe import LoadedRecipe
from thresher.pipelines.recipe.model import step_names
from thresher.schemas import Column, FieldError
from thresher.schemas.decisions import ID
from thresher.schemas.records import ITEM, MEDIA

Kind = Literal["measure", "decide", "export"]

_HEAD = (
    Column("id", ID, "", "16-byte id of (source, key)"),
    Column("kind", pa.string(), "", "kind of record"),
    Column("source", pa.string(), "", "name of the ingest entry"),
    Column("key", pa.string(), "", "path relative to the source's root"),
    Column("media", pa.list_(MEDIA), "", "addresses of the bytes"),
    Column("parents", pa.list_(ID), "", "records it was made from"),
    Column("synthetic", pa.bool_(), "", "pixels made by a machine"),
    Column("licence", pa.string(), "", "SPDX name or `unknown`"),
)
_OWN = {
    "image": (
        Column("text", pa.string(), "", "caption from a sidecar"),
        Column("meta", pa.string(), "", "JSON text from a sidecar"),
    ),
    "interleaved": (
        Column("form", pa.string(), "", "plain text or dialogue", values=("text", "dialogue")),
        Column("items", pa.list_(ITEM), "", "texts and images in order"),
        Column("meta", pa.string(), "", "JSON text of the row's other fields"),
    ),
}
CATALOG_COLUMNS = {kind: {c.name: c for c in (*_HEAD, *own)} for kind, own in _OWN.items()}
"""What ingest knows of a record of each kind, by name."""
EXPORTS = {"image": "export", "interleaved": "export.documents"}
WORDS = {"image": "images", "interleaved": "texts and dialogues"}


@dataclass(frozen=True)
class StepPlan:
    """One operator of a table's chain."""

    label: str
    kind: Kind
    operator: Operator
    fp: str
    """Of a Measure. Of a Decide or an Export: without the digest of its live rows."""
    reads: dict[str, str]
    """Column -> label of the step that writes it (catalog columns left out)."""
    implied: bool = False
    columns: tuple[Column, ...] = ()


@dataclass
class TablePlan:
    """One table: its chain of steps, and which Measures run together."""

    name: str
    record: str = "image"
    """Kind of its records."""
    sources: tuple[str, ...] = ()
    """Names of its sources: the values that `source` can have. Empty: not known yet."""
    steps: list[StepPlan] = field(default_factory=list)
    stages: list[list[str]] = field(default_factory=list)
    """Labels of the Measures of each pass, in the order in which passes are needed."""

    def step(self, label: str) -> StepPlan:
        """The step called `label`."""
        return next(s for s in self.steps if s.label == label)

    @property
    def columns(self) -> dict[str, Column]:
        """Every column of a record of this table."""
        made = {c.name: c for s in self.steps for c in s.columns}
        known = CATALOG_COLUMNS[self.record]
        return known | {"source": replace(known["source"], values=self.sources)} | made

    def writer(self, column: str) -> StepPlan | None:
        """The last step that writes a column; None for the catalog's own."""
        return next((s for s in reversed(self.steps) if any(c.name == column for c in s.columns)), None)


@dataclass
class Plan:
    """The whole recipe, compiled."""

    loaded: LoadedRecipe
    tables: dict[str, TablePlan]

    def as_json(self) -> dict[str, Any]:
        """What `plan.json` shows: every default, every fingerprint, and what each column is, so that a run
        can be read without its operators and their files."""
        tables = {}
        for name, table in self.tables.items():
            steps = [
                {
                    "label": s.label,
                    "operator": s.operator.name,
                    "kind": s.kind,
                    "version": s.operator.version,
                    "params": s.operator.params.model_dump(mode="json"),
                    "fingerprint": s.fp,
                    "reads": sorted(s.operator.needs()),
                    "writes": [c.name for c in s.columns],
                    "schema": _packed(s.columns),
                    "implied": s.implied,
                }
                for s in table.steps
            ]
            tables[name] = {"record": table.record, "steps": steps, "passes": table.stages}
        return {"recipe": self.loaded.recipe.resolved(), "tables": tables}


def compile_plan(loaded: LoadedRecipe, sources: Mapping[str, Sequence[str]] | None = None) -> Plan:
    """Check a recipe against its operators. Raises UsageError with file and line.

    `sources`: the names of each table's sources, where they are resolved; `source == 'typo'` is found then.
    """
    targets: dict[str, str] = {}
    tables = {}
    for name, table in loaded.recipe.tables.items():
        to = getattr(table.export, "to", None)
        try:
            if to is not None and "://" in to:
                raise FieldError(f"exports to {to!r} are not possible yet", ("to",), "Name a local folder")
            if to is not None and targets.setdefault(to, name) != name:
                what = f"tables {targets[to]!r} and {name!r} export to the same folder"
                raise FieldError(what, ("to",), "Name another")
        except FieldError as error:
            raise loaded.located(error, name, None) from error
        tables[name] = _Chain(loaded, name, tuple((sources or {}).get(name, ()))).build()
    return Plan(loaded, tables)


def _packed(columns: Sequence[Column]) -> str:
    schema = pa.schema([column.field() for column in columns])
    return base64.b64encode(schema.serialize()).decode()


def unpacked(text: str) -> list[Column]:
    """The columns in a step's `schema` in `plan.json`."""
    return [Column.of(field) for field in pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))]


class _Chain:
    """Builds one table's plan, step by step."""

    def __init__(self, loaded: LoadedRecipe, table: str, sources: tuple[str, ...]) -> None:
        self._loaded, self._table = loaded, loaded.recipe.tables[table]
        self._plan = TablePlan(table, self._table.record, sources)
        self._later: list[tuple[int | None, str, Operator]] = []
        """The steps after the one that is looked at."""

    def build(self) -> TablePlan:
        written: list[tuple[int | None, str, Operator]] = [
            (i, step.label, get(step.op)(_anchored(step.params, self._loaded.base)))
            for i, step in enumerate(self._table.steps)
        ]
        if self._table.export is not None:
            written.append((None, "export", get(EXPORTS[self._table.record])(self._table.export)))
        for place, (index, label, operator) in enumerate(written, 1):
            self._later = written[place:]
            try:
                if isinstance(operator, Export) and index is not None:
                    raise FieldError(
                        "export is a key of the table, not a step", mend="Move it out of `steps`"
                    )
                self._add(operator, label)
            except FieldError as error:
                raise self._loaded.located(error, self._plan.name, index) from error
        self._plan.stages = _stages(self._plan)
        return self._plan

    def _add(self, operator: Operator, label: str, implied: bool = False) -> None:
        if self._plan.record not in operator.kinds:
            one, other = WORDS[operator.kinds[0]], WORDS[self._plan.record]
            here = [name for name in step_names() if self._plan.record in get(name).kinds]
            what = f"{operator.name!r} works on {one}, and this table holds {other}"
            raise FieldError(what, mend=f"Take it out: steps here are {', '.join(here)}")
        for name in operator.reads:
            if name not in self._plan.columns:
                self._imply(name, operator)
        available = self._plan.columns
        operator = operator.settled(available)
        for name in operator.needs():
            if name not in available and (mend := self._mend(name)):
                what = f"step {label!r} reads the column {name!r}, which no earlier step writes"
                raise FieldError(what, mend=mend)
        operator.check(available)
        self._check_price(operator)
        columns = tuple(operator.writes())
        for column in columns:
            if column.name in available and column.name not in operator.extends:
                writer = self._plan.writer(column.name)
                other = writer.label if writer else "ingest"
                what = f"steps {other!r} and {label!r} both write the column {column.name!r}"
                named = writer and writer.operator.name == operator.name and hasattr(operator.params, "name")
                mend = "Give the second one `name: second`" if named else "Remove one of them"
                raise FieldError(what, mend=mend)
        reads = {c: s.label for c in (*operator.needs(), *operator.extends) if (s := self._plan.writer(c))}
        fps = {c: self._plan.step(label).fp for c, label in reads.items()}
        kind: Kind = "measure" if isinstance(operator, Measure) else "decide"
        if isinstance(operator, Export):
            kind = "export"
            fps = {c.name: s.fp for s in self._plan.steps for c in s.columns}
        if {"licence", "synthetic"} & set(operator.needs()):
            sources = self._table.ingest
            fps["sources"] = digest([[s.name, s.kind, s.place, s.licence, s.synthetic] for s in sources])
        fp = operator_fingerprint(operator, fps, None if kind == "measure" else self._loaded.recipe.seed)
        self._plan.steps.append(StepPlan(label, kind, operator, fp, reads, implied, columns))

    def _mend(self, column: str) -> str:
        """How to come by a column that no earlier step writes; empty if nobody is known to write it."""
        for _, label, operator in self._later:
            if column in _written(operator):
                return f"Move the step {label!r} up, before this one"
        if mend := not_written(column, self._plan.columns):
            return mend
        maker = writer_of(column, self._plan.record)
        others = [s.columns[0].name for s in self._plan.steps if s.operator.name == maker and s.columns]
        if others:
            return f"Did you mean {' or '.join(map(repr, others))}, which {maker!r} writes here?"
        return f"Add `- {maker}` before this step" if maker else ""

    def _check_price(self, operator: Operator) -> None:
        """A budget of money needs to know what a request costs."""
        endpoint, price = (getattr(operator.params, name, None) for name in ("endpoint", "price"))
        if self._loaded.recipe.budget.money is not None and endpoint and price is None:
            mend = "Add `price: {input: X, output: Y}`, what a million tokens cost"
            raise FieldError("`budget.money` is given, and this step has no price", mend=mend)

    def _imply(self, column: str, operator: Operator) -> None:
        writer = writer_of(column, self._plan.record)
        if writer is None or not issubclass(get(writer), Measure):
            raise FieldError(
                f"{operator.name!r} reads the column {column!r}, which no earlier step writes",
                mend=f"Add `- {writer}` before it" if writer else "Install the package that provides it",
            )
        self._add(get(writer)(), writer, implied=True)


def _anchored(params: Params, base: Path) -> Params:
    """Parameters whose relative paths of files start at the recipe's folder."""
    places = {name: getattr(params, name, None) for name in ("weights", "sam", "model", "calibration")}
    found: dict[str, Any] = {
        name: str(base / place)
        for name, place in places.items()
        if isinstance(place, str) and not place.startswith(("hf:", "package:", "~", "/"))
        if place and (name != "model" or place.endswith(".json"))
    }
    found |= {name: base / place.expanduser() for name, place in params if isinstance(place, Path)}
    if isinstance(prompts := getattr(params, "prompts", None), Mapping):
        found["prompts"] = {name: str(base / Path(place).expanduser()) for name, place in prompts.items()}
    return params.model_copy(update=found) if found else params


def _written(operator: Operator) -> set[str]:
    """Columns that an operator adds; none where its parameters are wrong, which its own turn will tell."""
    try:
        return {column.name for column in operator.writes()} - {*operator.extends}
    except FieldError:
        return set()


def _stages(plan: TablePlan) -> list[list[str]]:
    """Group Measures into passes. A CPU Measure joins the earliest pass that opens its views anyway
    and comes after what it reads, also over a Decide between them; else the pass before it, else a
    pass of its own. Two steps of one operator never share one: a pass tells them apart by its name."""
    stages: list[list[str]] = []
    names: list[set[str]] = []
    opened: list[set[str]] = []
    movable: list[bool] = []
    place: dict[str, int] = {}
    barrier = 0
    for step in plan.steps:
        operator = step.operator
        if not isinstance(operator, Measure):
            barrier = place[step.label] = len(stages)
            continue
        views = {v.kind for v in operator.views}
        first = max((place[label] for label in step.reads.values()), default=0)
        others = [i for i in range(first, len(stages)) if operator.name not in names[i]]
        open_to = [i for i in others if operator.movable and movable[i]]
        chosen = next((i for i in open_to if views <= opened[i]), len(stages))
        if chosen == len(stages) and chosen > barrier and chosen - 1 in open_to:
            chosen -= 1
        if chosen == len(stages):
            stages.append([])
            names.append(set())
            opened.append(set())
            movable.append(True)
        stages[chosen].append(step.label)
        names[chosen].add(operator.name)
        opened[chosen] |= views
        movable[chosen] &= operator.movable
        place[step.label] = chosen
    return stages


def pass_name(operators: Mapping[str, str]) -> str:
    """Folder of a pass, from its operators' names and fingerprints."""
    names = "+".join(operators)
    short = names if len(names) <= 80 else f"{names[:70]}+{len(operators)}"
    return f"{short}@{combine(operators.values())}"
