"""`nsfw`: pictures not safe for work, by a head on `clip` vectors or a network; else, skin tones."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from thresher.operators.base import Batch, Failure, Params
from thresher.operators.models import weights
from thresher.operators.models.classifier import RGB, Scored, Scorer, Transformers, Wanted, Weighted
from thresher.operators.models.pictures import Pixels
from thresher.operators.models.torch_setup import infer, setup_torch
from thresher.operators.registry import operator
from thresher.schemas import Column, FieldError
from thresher.schemas.errors import ThresherError

WIDTHS = (1024, 1024, 2048, 1024, 256, 128, 16, 1)
_CR, _CB = (133, 173), (77, 127)
"""Skin in YCrCb, Chai and Ngan 1999."""


class NsfwParams(Params):
    """Which back end."""

    backend: Literal["skin", "clip-head", "transformers"] = Field(
        "skin",
        description="skin: only `skin_share`; clip-head: on `clip` of ViT-H-14; transformers: a folder",
    )
    weights: str | None = Field(
        None, description="clip-head: a `.pth` or `.safetensors`; transformers: a folder; none for skin"
    )
    label: str = Field("nsfw", description="transformers: the label that counts")


class Skin(Scorer):
    """The share of pixels whose colour is in the range of skin."""

    title = "skin tones"

    def revision(self) -> str:
        return "chai-ngan-1999"

    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        return [skin_share(rgb) for rgb in batch.view(RGB)]

    def scores(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[float]]:
        return {"skin_share": inputs}


class ClipHead(Weighted):
    """The head of LAION's CLIP-based NSFW detector for ViT-H-14: seven layers on the stored vector."""

    title = "laion clip-head h14"
    views = ()
    reads = ("clip",)
    device: Literal["any", "cpu"] = "cpu"
    batch = 256

    def load(self, device: str) -> Any:
        return weights.load_into(head(), weights.locate(self._place)).eval()

    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        assert batch.columns is not None
        return batch.columns["clip"].to_pylist()

    def scores(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[float]]:
        vectors = np.asarray(inputs, np.float32)
        if vectors.shape[1] != WIDTHS[0]:
            what = f"the head reads vectors of {WIDTHS[0]} numbers, the column has {vectors.shape[1]}"
            raise ThresherError(what, "nsfw", "Use `embed` with ViT-H-14 and LAION's weights")
        return {"nsfw_p": np.clip(infer(model, vectors, model.layers)[:, 0], 0, 1).tolist()}


def head() -> Any:
    """The published architecture, untrained: ReLU after the first five layers, none at the end."""
    nn = setup_torch().nn
    layers: list[Any] = []
    for i, (width, following) in enumerate(itertools.pairwise(WIDTHS)):
        layers.append(nn.Linear(width, following))
        if i < len(WIDTHS) - 3:
            layers += [nn.ReLU(), nn.Dropout(0.2)]
    network = nn.Module()
    network.layers = nn.Sequential(*layers)
    return network


def skin_share(rgb: Pixels) -> float:
    """Share of pixels with Cr from 133 to 173 and Cb from 77 to 127."""
    import cv2

    low, high = np.array([0, _CR[0], _CB[0]]), np.array([255, _CR[1], _CB[1]])
    found = cv2.inRange(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb), low, high)
    return float(np.count_nonzero(found) / found.size)


@operator("nsfw")
class Nsfw(Scored):
    """How likely a picture is not safe for work.

    Without weights there is no such judgement: it writes `skin_share` instead, the share of pixels in the
    colours of skin. Portraits, sand, wood, warm light and a ginger cat (over 0.99) have much of it, pictures
    without colour none.
    """

    params_model = NsfwParams
    source = "LAION CLIP-based NSFW detector (MIT); skin: Chai and Ngan 1999"
    cost = "skin: 1 ms for each image, beside its decode"

    def scorer(self) -> Scorer:
        if self.params.backend == "skin":
            return Skin()
        if self.params.backend == "clip-head":
            return ClipHead(self.params.weights)
        return Transformers(self.params.weights, [Wanted("nsfw_p", self.params.label)])

    def check(self, available: Mapping[str, Column]) -> None:
        if self.params.backend == "skin" and self.params.weights is not None:
            raise FieldError(
                "the back end skin has no weights", ("weights",), "Name a `backend`, or remove it"
            )
        if self.params.backend == "clip-head" and "clip" not in available:
            raise FieldError(
                "it reads the column 'clip', which no earlier step writes",
                ("backend",),
                "Add `- embed: {backend: clip, model: ViT-H-14, weights: ...}` before it",
            )
        made = available["clip"].backend if self.params.backend == "clip-head" else "open_clip"
        if not made.startswith("open_clip ViT-H-14") and made != "open_clip":
            what = f"the head was trained on ViT-H-14, the column 'clip' was made by {made}"
            raise FieldError(what, ("backend",), "Use the encoder that the head was trained on")
        super().check(available)

    def writes(self) -> list[Column]:
        if self.params.backend == "skin":
            return [
                self.column("skin_share", "share", "pixels in the colours of skin; says nothing of nudity")
            ]
        meaning = "regression of the head, clipped" if self.params.backend == "clip-head" else "of that label"
        return [self.column("nsfw_p", "probability", meaning)]
