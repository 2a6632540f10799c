"""`aesthetic`: the published linear heads on CLIP and SigLIP vectors, each as the affine map that it is.

Five linear layers without activations are one: score = w . e + b. So a stored vector is scored by one
product, without torch. The layers are multiplied out in float64 when they are read; nothing is unpickled.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from thresher.operators.base import Batch, Failure, Params
from thresher.operators.models import weights
from thresher.operators.models.model import ModelMeasure
from thresher.operators.registry import operator
from thresher.schemas import Column, FieldError
from thresher.schemas.errors import ThresherError

WIDTHS = (1024, 128, 64, 16, 1)
Affine = tuple[NDArray[np.float64], float]


class AestheticParams(Params):
    """Which head, and its file."""

    weights: str = Field(
        description="the head's `.pth` or `.safetensors`: a path, or `hf:ORG/NAME@COMMIT/FILE`"
    )
    head: Literal["laion", "v2.5"] = Field(
        "laion", description="laion: on `clip` of ViT-L-14; v2.5: on `siglip` of so400m-patch14-384 (AGPL)"
    )

    @property
    def column(self) -> str:
        """The vector that the head was trained on."""
        return "clip" if self.head == "laion" else "siglip"


@operator("aesthetic")
class Aesthetic(ModelMeasure):
    """A learned score of beauty from 1 to 10, by a published linear head on a stored vector.

    The bound is a direction in the encoder's space, which favours paintings, sunsets and portraits: prefer
    `quantile(aesthetic, q, by=category)` to one number. Without a head, `quality.nr` is the choice.
    """

    params_model = AestheticParams
    device = "cpu"
    batch = 64
    source = (
        "LAION improved aesthetic predictor (Apache-2.0); Aesthetic Predictor V2.5 (AGPL-3.0, never bundled)"
    )
    cost = "one product of 768 or 1,152 numbers"

    def writes(self) -> list[Column]:
        column = Column("aesthetic", pa.float32(), "points", "learned score of beauty", quantum=2.0**-7)
        return [replace(column, backend=f"aesthetic {self.params.head}", revision=self._revision)]

    def needs(self) -> tuple[str, ...]:
        return (self.params.column,)

    @cached_property
    def _revision(self) -> str:
        return weights.revision(self.params.weights)

    def revision(self) -> str:
        return self._revision

    def check(self, available: Mapping[str, Column]) -> None:
        weights.check(self.params.weights, ("weights",), folder=False)
        if self.params.column not in available:
            what = f"it reads the column {self.params.column!r}, which no earlier step writes"
            raise FieldError(
                what, mend=f"Add `- embed: {{backend: {self.params.column}, weights: ...}}` before it"
            )
        made = available[self.params.column].backend
        if self.params.head == "laion" and not made.startswith("open_clip ViT-L-14") and made != "open_clip":
            what = f"the head was trained on ViT-L-14, the column 'clip' was made by {made}"
            raise FieldError(what, ("head",), "Use the encoder that the head was trained on")

        if not self.params.weights.startswith("hf:"):
            try:
                self.load("cpu")
            except ThresherError as error:
                raise FieldError(error.what, ("weights",), error.mend) from error

    def load(self, device: str) -> Affine:
        return affine(weights.locate(self.params.weights))

    def prepare(self, batch: Batch) -> Sequence[Any | Failure]:
        assert batch.columns is not None
        return batch.columns[self.params.column].to_pylist()

    def forward(self, model: Affine, inputs: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        vectors, (weight, bias) = np.asarray(inputs, np.float64), model
        if vectors.shape[1:] != weight.shape:
            what = f"the head reads vectors of {len(weight)} numbers, the column has {vectors.shape[1]}"
            raise ThresherError(what, "aesthetic", "Use the encoder that the head was trained on")
        return {"aesthetic": (vectors @ weight + bias).tolist()}


def affine(file: Path) -> Affine:
    """(w of shape (d,), b) of a head of five linear layers, multiplied out. Raises ThresherError."""
    layers = _layers(file)
    weight, bias = np.eye(layers[0][0].shape[1]), np.zeros(layers[0][0].shape[1])
    for w, b in layers:
        weight, bias = w @ weight, w @ bias + b
    return weight[0], float(bias[0])


def _layers(file: Path) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(weight, bias) of each layer, in the order in which a state dict lists them."""
    arrays = _safetensors(file) if file.suffix == ".safetensors" else _zipped(file)
    inputs = len(arrays[0]) // WIDTHS[0] if arrays else 0
    shapes = [shape for i, n in enumerate(WIDTHS) for shape in ((n, (inputs, *WIDTHS)[i]), (n,))]
    if [len(a) for a in arrays] != [int(np.prod(shape)) for shape in shapes] or not inputs:
        found = ", ".join(str(len(a)) for a in arrays[:10])
        what = f"it is not a head of the layers {' '.join(map(str, WIDTHS))}: its arrays hold {found} numbers"
        raise ThresherError(
            what, str(file), "Give the published file, such as sac+logos+ava1-l14-linearMSE.pth"
        )
    shaped = [a.astype(np.float64).reshape(s) for a, s in zip(arrays, shapes, strict=True)]
    return list(zip(shaped[::2], shaped[1::2], strict=True))


def _zipped(file: Path) -> list[NDArray[np.float32]]:
    """The float32 buffers of a `.pth`, a zip: `NAME/data/0`, `1`, ... in the order of the state dict."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [n for n in archive.namelist() if "/data/" in n and n.rpartition("/")[2].isdigit()]
            names.sort(key=lambda name: int(name.rpartition("/")[2]))
            return [np.frombuffer(archive.read(name), "<f4") for name in names]
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise ThresherError(f"the head cannot be read: {error}", str(file), "Fetch the file again") from error


def _safetensors(file: Path) -> list[NDArray[np.float32]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ThresherError(f"the head cannot be read: {error}", str(file), "Fetch the file again") from error
    names = sorted(found, key=lambda name: (int("".join(filter(str.isdigit, name)) or 0), "bias" in name))
    return [found[name].astype(np.float32).ravel() for name in names]
