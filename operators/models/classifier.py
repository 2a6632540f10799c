"""What the learned yes-or-no Measures have in common: a scorer, and columns from 0 to 1."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from thresher.operators.base import Batch, Failure, Params, View
from thresher.operators.models import weights
from thresher.operators.models.folder import load_model, read_config, square_of
from thresher.operators.models.model import ModelMeasure
from thresher.operators.models.pictures import Square
from thresher.operators.models.torch_setup import infer, levels
from thresher.schemas import Column, FieldError, ThresherError
from thresher.schemas.errors import nearest

RGB = View("rgb", 512)
QUANTUM = 2.0**-10
"""Scores are rounded to this: devices and batch sizes agree to it."""


class Wanted(NamedTuple):
    """A column, and the label of the model that it is the probability of."""

    column: str
    label: str
    param: str = "label"


class Scorer(ABC):
    """One back end of a `Scored` Measure; without weights, unless a subclass has some."""

    title = ""
    views: tuple[View, ...] = (RGB,)
    reads: tuple[str, ...] = ()
    device: Literal["any", "cpu"] = "cpu"
    batch = 64

    def revision(self) -> str:
        """What its scores depend on besides the code."""
        return "1"

    def check(self) -> None:
        """Raise FieldError at plan time if it cannot work."""
        return None

    def load(self, device: str) -> Any:
        """The model on `device`."""
        return None

    @abstractmethod
    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        """What `scores` takes for each record."""

    @abstractmethod
    def scores(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[float]]:
        """Column -> a number from 0 to 1 for each input."""


class Weighted(Scorer):
    """A back end with weights of its own; `package` is what it needs."""

    package: ClassVar[str] = "torch"
    folder: ClassVar[bool] = False
    device: Literal["any", "cpu"] = "any"
    batch = 0

    def __init__(self, place: str | None) -> None:
        self._place = place or ""

    @cached_property
    def _revision(self) -> str:
        return weights.revision(self._place)

    def revision(self) -> str:
        return self._revision

    def check(self) -> None:
        if not self._place:
            raise FieldError(
                f"the back end {self.title} needs `weights`", ("backend",), "Add `weights: PATH`"
            )
        weights.check_package(self.package, "models")
        weights.check(self._place, ("weights",), self.folder)


class Pictures(Weighted):
    """A network on squares of pixels."""

    @abstractmethod
    def square(self) -> Square:
        """What `prepare` cuts; known without torch."""

    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        return [self.square().cut(rgb) for rgb in batch.view(RGB)]

    def _outputs(self, model: Any, inputs: Sequence[Any], compute: Any) -> np.ndarray:
        """float32 (n, classes) of the pictures, before softmax."""
        mean, std = self.square().mean, self.square().std
        return infer(model, np.stack(inputs), lambda x: compute(levels(model, x, mean, std)).float())


class Transformers(Pictures):
    """A folder for `AutoModelForImageClassification`: the probabilities of some of its labels."""

    title = "transformers"
    package = "transformers"
    folder = True

    def __init__(self, place: str | None, wanted: Sequence[Wanted]) -> None:
        super().__init__(place)
        self._wanted = wanted

    @cached_property
    def _folder(self) -> Path:
        return weights.locate(self._place)

    @cached_property
    def _config(self) -> dict[str, Any]:
        return read_config(self._folder)

    @cached_property
    def _square(self) -> Square:
        return square_of(self._folder)

    def square(self) -> Square:
        return self._square

    def check(self) -> None:
        super().check()
        if self._place.startswith("hf:"):
            return
        try:
            labels = labels_of(self._config)
            self.square()
        except ThresherError as error:
            raise FieldError(error.what, ("weights",), error.mend) from error
        for one in self._wanted:
            position(labels, one)

    def load(self, device: str) -> Any:
        for one in self._wanted:
            position(labels_of(self._config), one)
        return load_model("AutoModelForImageClassification", self._folder, device)

    def scores(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[float]]:
        outputs = self._outputs(model, inputs, lambda x: model(x).logits)
        independent = (
            self._config.get("problem_type") == "multi_label_classification" or outputs.shape[1] == 1
        )
        chances = sigmoid(outputs) if independent else softmax(outputs)
        labels = labels_of(self._config)
        return {one.column: chances[:, position(labels, one)].tolist() for one in self._wanted}


def labels_of(config: Mapping[str, Any]) -> list[str]:
    """The labels of a classifier's `config.json`, in order; LABEL_0, LABEL_1 where it names none."""
    named = config.get("id2label") or {str(i): f"LABEL_{i}" for i in range(2)}
    try:
        return [str(named[key]) for key in sorted(named, key=int)]
    except (TypeError, ValueError, KeyError) as error:
        raise ThresherError(
            "id2label of the model's config.json is no mapping of numbers to labels"
        ) from error


def position(labels: Sequence[str], wanted: Wanted) -> int:
    """The class whose probability is wanted. Raises FieldError naming the labels that there are."""
    if wanted.label in labels:
        return labels.index(wanted.label)
    mend = nearest(wanted.label, list(labels)) or f"Its labels are {', '.join(labels[:20])}"
    raise FieldError(f"the model has no label {wanted.label!r}", (wanted.param,), mend)


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(outputs: np.ndarray) -> np.ndarray:
    """Each value from 0 to 1 by itself."""
    return 0.5 * (1 + np.tanh(outputs / 2))


class Scored(ModelMeasure):
    """Columns from 0 to 1, by the back end that the parameters name."""

    views: tuple[View, ...] = (RGB,)

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        self._scorer = self.scorer()
        self.views, self.device = self._scorer.views, self._scorer.device
        self.batch = self._scorer.batch

    @abstractmethod
    def scorer(self) -> Scorer:
        """The back end."""

    def column(self, name: str, unit: str, meaning: str) -> Column:
        """A column of this back end."""
        quantum = QUANTUM if isinstance(self._scorer, Weighted) else None  # a stated score stays as stated
        made = Column(name, pa.float32(), unit, meaning, 0, 1, quantum=quantum)
        return replace(made, backend=self._scorer.title, revision=self._scorer.revision())

    def needs(self) -> tuple[str, ...]:
        return self._scorer.reads

    def revision(self) -> str:
        return self._scorer.revision()

    def check(self, available: Mapping[str, Column]) -> None:
        self._scorer.check()

    def load(self, device: str) -> Any:
        return self._scorer.load(device)

    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        return self._scorer.prepare(batch)

    def forward(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        return self._scorer.scores(model, inputs)
