"""`clip_score`: how well a caption fits its picture, in the space of an image-text encoder."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import Field

from thresher.operators.base import Batch, Failure
from thresher.operators.models.embed import ModelParams
from thresher.operators.models.encoders import TextEncoder, unit
from thresher.operators.models.model import ModelMeasure
from thresher.operators.registry import operator
from thresher.schemas import Column, FieldError
from thresher.schemas.columns import require_text


class ScoreParams(ModelParams):
    """The model of the `embed` step before."""

    backend: Literal["clip", "siglip"] = Field("clip", description="clip or siglip, as in the `embed` step")
    text: str = Field("text", description="column of the text, such as `caption.en.short`")
    name: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_.]{0,79}$",
        description="column that it writes; null is `clip_score`, or `TEXT.clip_score` for another text",
    )

    @property
    def column(self) -> str:
        """The column that it writes."""
        return self.name or ("clip_score" if self.text == "text" else f"{self.text}.clip_score")


@operator("clip_score")
class ClipScore(ModelMeasure):
    """Cosine of the caption's vector and the picture's; null where there is no caption.

    Reads the picture's vector from the column that `embed` wrote: the image tower does not run again. Texts
    longer than the model's context (77 tokens for CLIP, 64 for SigLIP) are cut. Several captions take a step
    each, with labels of their own (`as`): `caption.draw` then finds their scores.
    """

    params_model = ScoreParams
    source = "CLIPScore (arXiv 2104.08718), without its factor of 2.5"

    def writes(self) -> list[Column]:
        meaning = f"cosine of `{self.params.text}` and picture"
        made = {"backend": self.params.title, "revision": self._revision}
        return [Column(self.params.column, pa.float32(), "", meaning, -1, 1, quantum=2.0**-10, **made)]

    def needs(self) -> tuple[str, ...]:
        return (self.params.backend, self.params.text)

    @cached_property
    def _revision(self) -> str:
        return str(self.params.revision())

    @cached_property
    def _encoder(self) -> TextEncoder:
        return cast(TextEncoder, self.params.encoder())

    def revision(self) -> str:
        return self._revision

    def check(self, available: Mapping[str, Column]) -> None:
        self.params.check_weights()
        column = available.get(self.params.backend)
        if column is None:
            mend = "Add `- embed` with the same `backend`, `model` and `weights` before it"
            raise FieldError(
                f"it reads the column {self.params.backend!r}, which no earlier step writes", mend=mend
            )
        if (column.backend, column.revision) != (self.params.title, self._revision):
            made = f"{column.backend} {column.revision}"
            what = (
                f"the column {column.name!r} was made by {made}, this is {self.params.title} {self._revision}"
            )
            raise FieldError(what, ("weights",), "Give both steps the same model and weights")
        require_text(available, self.params.text, ("text",))

    def load(self, device: str) -> Any:
        return self._encoder.load(device)

    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        assert batch.columns is not None
        vectors, texts = (batch.columns[name].to_pylist() for name in self.needs())
        return [
            (self._encoder.tokens(text), np.asarray(vector, np.float32)) if text else None
            for vector, text in zip(vectors, texts, strict=True)
        ]

    def forward(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        tokens, pictures = (np.stack(column) for column in zip(*inputs, strict=True))
        texts, _ = unit(self._encoder.texts(model, tokens))
        return {self.params.column: np.clip((texts * pictures).sum(axis=1), -1, 1).tolist()}
