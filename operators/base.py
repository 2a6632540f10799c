"""What an operator is: protocols and small value types. Four kinds; `Make` has ingest as its only user.

An operator is one small class with a `params_model`, a `version`, what it reads and writes, and one
method that does the work. Operators know nothing of Ray, of recipes or of the run directory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from thresher.schemas import Column, Reason, Record, ThresherError

T = TypeVar("T")


class Params(BaseModel):
    """Parameters that change values; each field has a description. Resources live in profiles."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class View(NamedTuple):
    """A decoded form of a record's medium that a Measure asks for; `operators/views` makes it.

    kind      what `Batch.view` holds for each record
    header    `views.Header`
    bytes     bytes, the whole file
    rgb       uint8 (h, w, 3), upright sRGB over white, short side `size`, never enlarged
    decoded   uint8 (h, w, 3 or 4), full decode, upright, no ICC applied
    native    uint8 (h, w, 3), `decoded` in sRGB over white
    others    list of `rgb` of that size, of the record's further pictures; empty where it has one
    images    list of `views.Checked`, of all the record's images, each decoded once; empty where it has none
    """

    kind: Literal["header", "bytes", "rgb", "decoded", "native", "others", "images"]
    size: int = 0


class Failure(NamedTuple):
    """Why one record could not be measured; never an exception."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Batch:
    """Records whose views all opened, in part order; lists are aligned with `records`."""

    records: Sequence[Record]
    views: Mapping[View, Sequence[Any]]
    columns: pa.Table | None = None
    """The columns that the Measure `reads`, aligned with `records`; None if it reads none."""

    def view(self, view: View) -> Sequence[Any]:
        """The decoded form `view` of each record."""
        return self.views[view]

    def __len__(self) -> int:
        return len(self.records)


@dataclass
class Values:
    """A Measure's answer: for each declared column one value a record (None where failed)."""

    columns: dict[str, Sequence[Any]]
    failures: dict[int, Failure] = field(default_factory=dict)
    """Position in the batch -> why it failed."""
    stopped: dict[int, ThresherError] = field(default_factory=dict)
    """Position -> why it has neither, and the run stops once the others are written."""


class Operator(ABC):
    """Common to all kinds. Class attributes are the declaration; `params` are resolved values."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    """Kinds of records that it works on (`schemas.records.KINDS`)."""
    params_model: ClassVar[type[Params]] = Params
    reads: ClassVar[tuple[str, ...]] = ()
    """Columns of other operators that it needs; the planner adds the Measures that write them."""
    source: ClassVar[str] = "ours"
    """The paper or repository of the method."""
    cost: ClassVar[str] = ""
    """A measured figure, such as `6 ms for each megapixel`."""

    def __init__(self, params: Params | None = None) -> None:
        self.params: Any = self.params_model() if params is None else params

    @property
    def extends(self) -> tuple[str, ...]:
        """Columns that it writes anew if an earlier step wrote them: it reads that step's values."""
        return ()

    def writes(self) -> list[Column]:
        """The columns it adds, with unit, range and meaning."""
        return []

    def needs(self) -> tuple[str, ...]:
        """`reads` plus columns that only the parameters name (a `prefer` column, predicates)."""
        return self.reads

    def revision(self) -> str:
        """What else its values depend on: a model's revision, a data file's hash."""
        return ""

    def settled(self, available: Mapping[str, Column]) -> "Operator":
        """Itself, or one with parameters that hang on which columns there are (`auto`); at plan time."""
        return self

    def check(self, available: Mapping[str, Column]) -> None:
        """Check the parameters against the columns there are, at plan time.

        Raises FieldError with the path of the wrong value inside the parameters.
        """
        return None


class Measure(Operator):
    """Pure and per record: a value depends on the record and the views alone, never on the batch."""

    views: tuple[View, ...] = ()
    """What it opens; an object may narrow this by its parameters."""
    movable: ClassVar[bool] = True
    """May be fused into an earlier pass, before a select. Say False if a record is expensive."""

    @abstractmethod
    def measure(self, batch: Batch) -> Values:
        """Values for every record of the batch. Never raises for one record."""


class Runner(Protocol):
    """Runs independent pieces of work, on one process or many."""

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """`fn(item)` for each item, in the items' order.

        `fn` must be picklable (a module-level function, or `functools.partial` of one) and its
        result small, JSON-ready data: large results go to files.
        """
        ...


class TableReader(Protocol):
    """The live records of one table. Picklable, so that a task can read its own parts."""

    @property
    def parts(self) -> Sequence[int]:
        """Numbers of the parts that have live rows, ascending."""
        ...

    @property
    def columns(self) -> Mapping[str, Column]:
        """Every readable column: measured ones, those of earlier Decide steps, and the head's."""
        ...

    def read(self, part: int, columns: Sequence[str]) -> pa.Table:
        """`row` (uint64 ordinal) and the named columns of the part's live rows, in part order.

        Catalog columns (`id`, `source`, `key`, `media`, `text`, `meta`, ...) are named like any other.
        One more can be read, `content` (binary 16): a digest that differs whenever a value of the
        record does, without reading its values.
        """
        ...


@dataclass(frozen=True)
class Context:
    """What a global step may use besides the table."""

    runner: Runner
    scratch: Path
    """An empty folder for intermediate files, removed afterwards."""
    seed: int
    label: str
    """The step's name in the recipe."""
    roots: Mapping[str, str]
    """Where each source's relative uris start (see `operators.views.opener`)."""
    spool: str = ""
    """Where inflated archives lie."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the step found out about the table, JSON-ready (evaluated bounds, giant groups): stored
    beside its decisions, shown in the report."""


class Decide(Operator):
    """Global: reads narrow columns of all live records, keeps or drops each."""

    @abstractmethod
    def decide(self, table: TableReader, context: Context) -> Iterator[tuple[int, pa.Table]]:
        """(part, decisions) for every part of the table, each with one row for each live record.

        Tables follow `schemas.decisions.DECISION` and then `writes()`, rows in any order. The
        result is a function of the live rows alone: not of parts, order, workers or crashes.
        """


class Export(Operator):
    """Writes the kept records somewhere."""

    @property
    def decodes(self) -> bool:
        """True if it opens media with a decoder, which may crash its process."""
        return True

    @abstractmethod
    def export(
        self, table: TableReader, context: Context, target: str, identity: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write to the folder `target` and return a summary (JSON-ready counts).

        `identity` is the resolved recipe and its fingerprints, for `dataset.json`. Until
        `target/dataset.json` exists there is no export; a finished one is left as it is.
        """
