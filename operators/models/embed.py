"""`embed`: a picture as a vector; what other learned Measures read in place of the pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from thresher.operators.base import Batch, Failure, Params, View
from thresher.operators.models import weights
from thresher.operators.models.encoders import Backend, Encoder, encoder, unit
from thresher.operators.models.model import ModelMeasure
from thresher.operators.registry import operator
from thresher.schemas import Column, FieldError

RGB = View("rgb", 512)
QUANTUM = 2.0**-14
"""Elements are rounded to this: devices and batch sizes agree to it."""


class ModelParams(Params):
    """Which model, and where its weights are."""

    backend: Backend = Field("classical", description="classical (built in), clip, siglip or dinov2")
    model: str = Field(
        "ViT-L-14", description="clip: the architecture, as open_clip names it, or a JSON file"
    )
    weights: str | None = Field(
        None, description="a file or folder, `hf:ORG/NAME@COMMIT` or `package:NAME/FILE`; none for classical"
    )

    def check_weights(self) -> None:
        """Raise FieldError if the weights are not named, or cannot be there."""
        if self.backend == "classical":
            if self.weights is not None:
                raise FieldError(
                    "the back end classical has no weights", ("weights",), "Name a `backend`, or remove it"
                )
        elif self.weights is None:
            raise FieldError(
                f"the back end {self.backend} needs `weights`", ("backend",), "Add `weights: PATH`"
            )
        else:
            weights.check_package("open_clip_torch" if self.backend == "clip" else "transformers", "models")
            weights.check(self.weights, ("weights",), folder=self.backend != "clip" or None)
            self.encoder().check()

    @property
    def title(self) -> str:
        """The back end as columns name it; an architecture of one's own has no name, but a revision."""
        if self.backend != "clip":
            return self.backend
        return "open_clip" if self.model.endswith(".json") else f"open_clip {self.model}"

    def revision(self) -> str:
        """Of the weights; `1` for the built-in descriptor."""
        if self.weights is None:
            return "1"
        own = weights.revision(self.weights)
        return f"{own} {weights.revision(self.model)}" if self.model.endswith(".json") else own

    def encoder(self) -> Encoder:
        """The encoder that these parameters name."""
        return encoder(self.backend, self.model, self.weights or "")


@operator("embed")
class Embed(ModelMeasure):
    """A vector for each picture, from a learned encoder or from the built-in classical descriptor.

    The column is named by its back end: `classical` (684 numbers: colour layout, palette and edges, which
    tell layouts apart and not things), `clip`, `siglip` or `dinov2`. Vectors have the length 1; their length
    before is in a column of its own, so that the product is the raw output.
    """

    params_model = ModelParams
    views = (RGB,)
    source = "open_clip; SigLIP (arXiv 2303.15343), DINOv2 (arXiv 2304.07193); classical: ours"
    cost = "classical 4 ms for each image, beside its decode"

    def writes(self) -> list[Column]:
        name, half = self.params.backend, pa.list_(pa.float16())
        columns = (
            Column(name, half, "", "the picture as a vector of length 1", -1, 1, quantum=QUANTUM),
            Column(f"{name}_norm", pa.float32(), "", "length of the vector before", 0, quantum=2.0**-10),
        )
        return [replace(c, backend=self.params.title, revision=self._revision) for c in columns]

    @cached_property
    def _revision(self) -> str:
        return str(self.params.revision())

    @cached_property
    def _encoder(self) -> Encoder:
        return self.params.encoder()

    def revision(self) -> str:
        return self._revision

    def check(self, available: Mapping[str, Column]) -> None:
        self.params.check_weights()

    def load(self, device: str) -> Any:
        return self._encoder.load(device)

    def prepare(self, batch: Batch) -> Sequence[Any | Failure]:
        return [self._encoder.square.cut(rgb) for rgb in batch.view(RGB)]

    def forward(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        vectors, lengths = unit(self._encoder.images(model, np.stack(inputs)))
        return {self.params.backend: list(vectors), f"{self.params.backend}_norm": list(lengths)}
