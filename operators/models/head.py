"""`head`: a linear head that `thresher calibrate --head` fitted on this pool's labels; a file of JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from thresher.operators.base import Batch, Failure, Params
from thresher.operators.models import weights
from thresher.operators.models.model import ModelMeasure
from thresher.operators.registry import operator
from thresher.schemas import Column, FieldError
from thresher.schemas.errors import ThresherError

QUANTUM = 2.0**-14
NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Origin(_File):
    """A column that a head reads, and what made it."""

    column: str
    backend: str
    revision: str


class HeadFile(_File):
    """A fitted head: what it reads, its numbers, and how well it did on records that it had not seen."""

    thresher_head: Literal[1] = 1
    name: str = Field(pattern=NAME.pattern)
    kind: Literal["logistic", "ridge"]
    positive: str | None
    """The class whose probability it gives."""
    on: list[Origin] = Field(min_length=1)
    weights: list[float] = Field(min_length=1)
    bias: float
    bound: float | None
    """The proposed one."""
    labels: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def column(self) -> str:
        """The column that it writes."""
        return f"{self.name}_p" if self.kind == "logistic" else self.name

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) of (n, d), as the column stores them."""
        raw = features @ np.array(self.weights) + self.bias
        if self.kind == "logistic":
            raw = np.exp(-np.logaddexp(0, -raw))
        return np.rint(raw / QUANTUM) * QUANTUM


class HeadParams(Params):
    """Which head."""

    weights: str = Field(description="the file that `thresher calibrate --head` wrote")


@operator("head")
class Head(ModelMeasure):
    """A probability or a score by a head that `thresher calibrate` fitted on labels.

    Its column is named by the head: `NAME_p` from 0 to 1 (logistic regression), or `NAME` (ridge regression
    on ratings). It reads the columns that it was fitted on; others of that name are refused.
    """

    params_model = HeadParams
    device = "cpu"
    source = "logistic and ridge regression; ours"
    cost = "one product of as many numbers as the vector has"

    def writes(self) -> list[Column]:
        head = self._head
        made: dict[str, Any] = {
            "backend": f"head {head.name}",
            "revision": self._revision,
            "quantum": QUANTUM,
        }
        if head.kind == "ridge":
            return [Column(head.column, pa.float32(), "points", "rating by a head on labels", **made)]
        meaning = f"probability of {head.positive!r} by a head on labels"
        return [Column(head.column, pa.float32(), "probability", meaning, 0, 1, **made)]

    def needs(self) -> tuple[str, ...]:
        return tuple(origin.column for origin in self._head.on)

    @cached_property
    def _head(self) -> HeadFile:
        weights.check(self.params.weights, ("weights",))
        try:
            return read_head(weights.locate(self.params.weights))
        except ThresherError as error:
            raise FieldError(error.what, ("weights",), error.mend) from error

    @cached_property
    def _revision(self) -> str:
        return weights.revision(self.params.weights)

    def revision(self) -> str:
        return self._revision

    def check(self, available: Mapping[str, Column]) -> None:
        for origin in self._head.on:
            column = available.get(origin.column)
            if column is None:
                what = f"the head {self._head.name!r} reads {origin.column!r}, which no earlier step writes"
                raise FieldError(what, ("weights",), f"Add the step that writes it: {_made(origin)}")
            if (column.backend, column.revision) != (origin.backend, origin.revision):
                what = (
                    f"the head {self._head.name!r} was fitted on {origin.column!r} by {_made(origin)}, "
                    f"here it is by {_made(column)}"
                )
                raise FieldError(what, ("weights",), "Use that model, or fit the head anew in this run")

    def load(self, device: str) -> HeadFile:
        return self._head

    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        assert batch.columns is not None
        rows = zip(*(batch.columns[name].to_pylist() for name in self.needs()), strict=True)
        return [None if None in row else np.hstack([np.asarray(v, np.float64) for v in row]) for row in rows]

    def forward(self, model: HeadFile, inputs: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        features = np.stack(inputs)
        if features.shape[1] != len(model.weights):
            what = f"the head reads {len(model.weights)} numbers, its columns have {features.shape[1]}"
            raise ThresherError(what, "head", "Fit it anew in this run")
        return {model.column: model.scores(features).tolist()}


def read_head(file: Path) -> HeadFile:
    """The head in a file. Raises ThresherError."""
    try:
        return HeadFile.model_validate(json.loads(file.read_bytes()))
    except OSError as error:
        what = f"the head cannot be read: {error.strerror}"
    except ValidationError as error:
        fault = error.errors()[0]
        what = f"{file} is no head: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
    except ValueError as error:
        what = f"{file} is no head: {error}"
    raise ThresherError(what, str(file), "Give a file that `thresher calibrate --head` wrote")


def _made(by: Origin | Column) -> str:
    return f"{by.backend} {by.revision}"
