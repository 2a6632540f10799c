"""What the page shows, as plain values: the template reads nothing else."""

from dataclasses import dataclass, field

from thresher.pipelines.report.charts import Bar, Chart
from thresher.pipelines.view import Bound, StepCount
from thresher.schemas import Column


@dataclass(frozen=True)
class Picture:
    """A data URL, or why there is none."""

    url: str = ""
    why_not: str = ""


@dataclass
class Sample:
    """One record in a gallery."""

    id: str
    key: str
    source: str
    status: str
    step: str
    reason: str
    message: str
    deciding: str
    """Column, value and bound that decided; empty when kept."""
    facts: str
    """Pixels and file size."""
    measured: str = ""
    """The value that places it here, next to a bound."""
    picture: Picture = Picture()


@dataclass
class Gallery:
    """Samples of one reason."""

    anchor: str
    title: str
    meaning: str
    total: int
    samples: list[Sample]


@dataclass
class DuplicateGroup:
    """A keeper beside a few of the records that were dropped for it."""

    keeper: Sample | None
    members: list[Sample]
    size: int
    """Dropped records in all."""


@dataclass
class Duplicates:
    """Groups of one reason."""

    title: str
    meaning: str
    total: int
    groups: list[DuplicateGroup]


@dataclass
class Edge:
    """The records nearest to one bound, on either side."""

    bound: Bound
    dropped: list[Sample]
    kept: list[Sample]


@dataclass
class ColumnCard:
    """One column: its chart, its bounds and where it comes from."""

    column: Column
    bounds: list[Bound]
    known: int = 0
    """Records with a value."""
    chart: Chart | None = None
    bars: list[Bar] = field(default_factory=list)


@dataclass
class TablePage:
    """Everything about one table."""

    name: str
    anchor: str
    funnel: list[StepCount]
    entered: int
    kept: int
    dropped: int
    failed: int
    judged: list[ColumnCard]
    """Columns with a bound."""
    others: list[ColumnCard]
    edges: list[Edge]
    kept_samples: list[Sample]
    dropped_galleries: list[Gallery]
    failed_galleries: list[Gallery]
    duplicates: list[Duplicates]
    facts: list[tuple[str, list[tuple[str, str]]]]
    problems: list[list[tuple[str, str]]]
    problems_total: int
    not_shown: int
    """Reasons that have no gallery because the page is full."""
