"""What a finished or running run shows to those who only read it: the report, `explain`, `status`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from thresher.operators.views.opener import Opener
    from thresher.schemas import Column


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


class RunView(Protocol):
    """Read-only access to one run."""

    @property
    def name(self) -> str: ...

    def tables(self) -> list[str]: ...

    def funnel(self, table: str) -> list[StepCount]:
        """Steps in recipe order; the first is `ingest`."""
        ...

    def bounds(self, table: str) -> list[Bound]: ...

    def facts(self, table: str) -> dict[str, dict[str, Any]]:
        """What each Decide step found out: label -> facts."""
        ...

    def columns(self, table: str) -> Mapping[str, "Column"]:
        """Every column that `values` can read, with unit, range, meaning and back end."""
        ...

    def parts(self, table: str) -> Sequence[int]: ...

    def ledger(self, table: str, part: int) -> "pa.Table":
        """`schemas.decisions.LEDGER` rows of a part, in part order."""
        ...

    def values(self, table: str, part: int, columns: Sequence[str]) -> "pa.Table":
        """The named columns of all rows of a part, in part order; null where not computed."""
        ...

    def opener(self, table: str) -> "Opener":
        """Reads the table's media."""
        ...

    def problems(self, table: str) -> list[dict[str, Any]]:
        """What the listing met and could not enter: hidden files, links, loops, other extensions."""
        ...
