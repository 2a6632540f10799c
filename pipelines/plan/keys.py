"""Whether the environment holds the keys of the servers that a run will ask: told before anything is read."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from thresher.operators.base import Operator
from thresher.operators.models.chat.measure import ChatMeasure
from thresher.pipelines.plan.estimate import planned
from thresher.schemas.errors import ThresherError

if TYPE_CHECKING:
    from thresher.pipelines.execute.table import TableRun


def keyless(operator: Operator) -> ThresherError | None:
    """What is wrong with the key of an operator that asks a server, in this process."""
    if isinstance(operator, ChatMeasure):
        try:
            operator.params.key()
        except ThresherError as error:
            return error
    return None


def missing_keys(rehearsed: Iterable["TableRun"]) -> list[ThresherError]:
    """The same for the steps that a rehearsed run would compute."""
    found = []
    for table in rehearsed:
        due = {label for name, _ in planned(table) for label in name.split(" + ")}
        steps = (step for step in table.plan.steps if step.label in due)
        found += [error for step in steps if (error := keyless(step.operator))]
    return found
