"""`thresher plan --ask N`: what models really take for a few records, and what that makes for all.

The sample runs in a scratch folder of its own, but its answers go to the run's memo: the run asks for none
of them again.
"""

import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from thresher.operators.base import Operator
from thresher.operators.models.chat.measure import ChatMeasure
from thresher.pipelines.cli.text import columns, counted
from thresher.pipelines.execute.table import DISTRUSTED
from thresher.pipelines.execute.usage import each_spent, gather, spent_before
from thresher.pipelines.recipe import LoadedRecipe
from thresher.pipelines.recipe.model import Table
from thresher.schemas import UsageError

if TYPE_CHECKING:
    from thresher.pipelines.execute.run import Run
    from thresher.pipelines.plan.compile import Plan
    from thresher.pipelines.view import StepCount

NORMAL_95 = 1.96
"""Standard errors to either side of a mean that hold 95 % of a normal distribution."""


@dataclass(frozen=True)
class Cost:
    """What one thing (requests, tokens, seconds, price) comes to."""

    mean: float
    """For a record of the sample."""
    least: float
    most: float
    total: float
    """For all rows that the run would ask for."""
    within: float | None
    """Half the 95 % interval of the total; None for a sample of one."""


@dataclass(frozen=True)
class Asked:
    """A step that asked a model about a sample."""

    table: str
    step: str
    sample: int
    """Records that the model was asked about."""
    rows: int
    """What the run would ask for."""
    costs: dict[str, Cost]
    entered: int
    """Records of the sample that came this far, also those that did not open."""
    failed: dict[str, int]
    """Reason -> how many of these failed here."""
    once: dict[str, float]
    """What is asked before the first record, whatever the number of records; empty where nothing is."""
    warning: str
    """Why the run's result would be worth little; mostly empty."""


def ask(run: "Run", count: int, rows: Mapping[tuple[str, str], int]) -> list[Asked]:
    """Ask about `count` records of each table, those with the least keyed hash as with `--limit`.

    `rows`: (table, step) -> rows that the run would compute. Raises ThresherError where the run would stop,
    and UsageError if no step asks a server.
    """
    from thresher.pipelines.execute.run import Run

    wanted = _chat_steps(run.plan)
    if not wanted:
        raise UsageError("no step of this recipe asks a server", "--ask", "Leave it out")
    scratch = Path(tempfile.mkdtemp(prefix="thresher-ask-"))
    try:
        loaded = _shortened(run.loaded, wanted)
        sample = Run(loaded, scratch, run.profile, local=run.local, limit=count, quiet=True, memo=run.memo)
        done = {(t.name, step.label): step for t in sample.execute().tables for step in t.funnel}
        return [
            asked
            for table, labels in wanted.items()
            for label in labels
            if (asked := _asked(run, scratch, table, done[table, label], rows.get((table, label), 0)))
        ]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _chat_steps(plan: "Plan") -> dict[str, list[str]]:
    """Table -> labels of its steps that ask a server; tables without one are left out."""

    def asks(operator: Operator) -> bool:
        return isinstance(operator, ChatMeasure) and bool(operator.params.endpoint)

    found = {
        name: [step.label for step in table.steps if asks(step.operator)]
        for name, table in plan.tables.items()
    }
    return {name: labels for name, labels in found.items() if labels}


def _shortened(loaded: LoadedRecipe, wanted: Mapping[str, Sequence[str]]) -> LoadedRecipe:
    """The recipe up to its last steps that ask, without exports."""

    def cut(table: Table, last: str) -> Table:
        end = next((i for i, step in enumerate(table.steps) if step.label == last), len(table.steps) - 1)
        return table.model_copy(update={"steps": table.steps[: end + 1], "export": None})

    recipe = loaded.recipe
    tables = {name: cut(recipe.tables[name], labels[-1]) for name, labels in wanted.items()}
    return replace(loaded, recipe=recipe.model_copy(update={"tables": tables}))


def _asked(run: "Run", scratch: Path, table: str, done: "StepCount", rows: int) -> Asked | None:
    step = run.plan.tables[table].step(done.label)
    sample = [_quantities(spent) for spent in each_spent(scratch, step.fp)]
    if not sample:
        return None
    priced = getattr(step.operator.params, "price", None) is not None
    names = [name for name in sample[0] if name != "price" or priced]
    costs = {name: _cost([one[name] for one in sample], rows) for name in names}
    before = spent_before(scratch, step.fp)
    once = {name: used for name, used in _quantities(before).items() if name in names} if before else {}
    warning = DISTRUSTED if gather(scratch, step.fp).get("distrusted") else ""
    return Asked(table, step.label, len(sample), rows, costs, done.entered, done.reasons, once, warning)


def _quantities(spent: Mapping[str, float]) -> dict[str, float]:
    return {
        "requests": spent["requests"],
        "tokens": spent["prompt_tokens"] + spent["completion_tokens"],
        "seconds": spent["request_s"],
        "price": spent["price"],
    }


def _cost(found: Sequence[float], rows: int) -> Cost:
    error = stdev(found) / math.sqrt(len(found)) if len(found) > 1 else None
    within = None if error is None else NORMAL_95 * error * rows
    return Cost(fmean(found), min(found), max(found), fmean(found) * rows, within)


def as_json(asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [asdict(one) for one in asked]


def tell_asked(asked: Sequence[Asked], run: "Run") -> str:
    """What was found as text for a terminal."""
    lines = []
    for one in asked:
        lines.append(f"\n{one.table}: {one.step}: asked about {counted(one.sample, 'record')}")
        rows = [["", "per record", "least", "most", f"for {one.rows:,}", "within (95 %)"]]
        for name, cost in one.costs.items():
            numbers = [cost.mean, cost.least, cost.most, cost.total]
            rows.append([name, *map(_number, numbers), "?" if cost.within is None else _number(cost.within)])
        lines.append(columns(rows, right=range(1, 6)))
        if one.once:
            took = ", ".join(f"{_number(used)} {name}" for name, used in one.once.items())
            lines.append(f"And once, before the first record, to test the model: {took}")
        if one.failed:
            why = ", ".join(f"{reason} {number:,}" for reason, number in one.failed.items())
            lines.append(f"{sum(one.failed.values()):,} of the {one.entered:,} that came here failed: {why}")
        if one.warning:
            lines.append(f"Warning: {one.warning}")
    if not asked:
        lines.append("\nNo record of the sample came as far as a model: ask for more")
    lines.append(f"Seconds are of requests; {run.profile.in_flight} are under way at once in each worker.")
    lines.append(f"The answers are kept: the run asks for none of them again ({run.memo}).")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
