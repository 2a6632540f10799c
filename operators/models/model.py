"""A Measure with a device: `prepare` in the decode workers, `forward` on whole batches.

The runtime (`resident.py`) loads a model once for each process, finds its batch size and pads every
batch to it, so that a value does not depend on what else is in work.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from thresher.operators.base import Batch, Failure, Measure, Values
from thresher.operators.models.resident import resident
from thresher.schemas.errors import ThresherError

Input = Any
"""What `forward` takes for one record: an array, or a tuple of arrays, small enough to be sent."""


class ModelMeasure(Measure):
    """A learned Measure. Every one of them runs through `resident.Resident`, and no other way."""

    movable = False
    device: Literal["any", "cpu"] = "any"
    """`cpu`: no faster on a GPU (a matrix product over a stored column, an engine that has no CUDA)."""

    batch: int = 0
    """Records in a batch where its size brings nothing; 0: found by measuring."""

    filled = True
    """Whether a batch is filled up with repeats, so that no value depends on how many came together."""

    @abstractmethod
    def load(self, device: str) -> Any:
        """The model, ready on `device` (`cpu`, `cuda:0`); raises ThresherError naming what is missing."""

    @abstractmethod
    def prepare(self, batch: Batch) -> Sequence[Input | Failure | None]:
        """For each record what `forward` takes, or None where it has no value; on the CPU, without torch."""

    @abstractmethod
    def forward(self, model: Any, inputs: Sequence[Input]) -> Mapping[str, Sequence[Any]]:
        """Column -> one value, or a Failure, for each input; or a ThresherError, which stops the run once the
        other values are written. `inputs` is a whole batch, filled up with repeats where it is `filled`.
        On a GPU two threads call this at once."""

    def spent(self, model: Any) -> Mapping[str, float]:
        """What the model used so far besides time, such as tokens; sums over processes make sense."""
        return {}

    def each_spent(self, model: Any) -> Sequence[Mapping[str, float]]:
        """What each of the last records took, where the model counts that."""
        return ()

    def measure(self, batch: Batch) -> Values:
        """`prepare` and `forward` in this process."""
        prepared = self.prepare(batch)
        values = spread(resident(self).run(ready(prepared)), prepared)
        for error in values.stopped.values():
            raise error
        return values


def ready(prepared: Sequence[Any]) -> list[Input]:
    """What `forward` is given of what `prepare` made."""
    return [prepared[i] for i in ready_places(prepared)]


def ready_places(prepared: Sequence[Any]) -> list[int]:
    """Where it stands."""
    return [i for i, made in enumerate(prepared) if made is not None and not isinstance(made, Failure)]


def spread(found: Mapping[str, Sequence[Any]], prepared: Sequence[Any]) -> Values:
    """The values of the ready inputs at their places, beside the failures of either half."""
    failures = {i: made for i, made in enumerate(prepared) if isinstance(made, Failure)}
    stopped: dict[int, ThresherError] = {}
    places = [i for i, made in enumerate(prepared) if made is not None and i not in failures]
    columns: dict[str, list[Any]] = {name: [None] * len(prepared) for name in found}
    for name, values in found.items():
        for i, value in zip(places, values, strict=True):
            if isinstance(value, Failure):
                failures[i] = value
            elif isinstance(value, ThresherError):
                stopped[i] = value
            else:
                columns[name][i] = value
    return Values(dict(columns), failures, stopped)
