"""`ground`: what words name in a picture, as boxes and masks; without a model, the one thing in it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
from pydantic import ConfigDict, Field

from thresher.operators.base import Batch, Failure, Params, View
from thresher.operators.models import weights
from thresher.operators.models.cutout import box_of, cutout
from thresher.operators.models.detectors import Detector, GroundingDino, Owlv2, Sam2
from thresher.operators.models.masks import encode
from thresher.operators.models.model import ModelMeasure
from thresher.operators.registry import operator
from thresher.schemas import Column, FieldError, ThresherError

NATIVE, DECODED = View("native"), View("decoded")
OBJECT = pa.struct(
    [
        ("label", pa.string()),
        ("box", pa.list_(pa.float32())),
        ("score", pa.float32()),
        ("mask", pa.string()),
    ]
)
MOST_PHRASES = 32
"""Of one caption; the rest is left out."""
_PARTS = re.compile(r"[.;,!?\n。，、；！？]+")


class GroundParams(Params):
    """What to look for, and with which models."""

    model_config = ConfigDict(populate_by_name=True)

    backend: Literal["cutout", "grounding-dino", "owlv2"] = Field(
        "cutout", description="cutout: the opaque part or GrabCut; grounding-dino or owlv2: a folder"
    )
    weights: str | None = Field(None, description="the detector's folder, or `hf:ORG/NAME@COMMIT`")
    sam: str | None = Field(None, description="folder of a SAM 2, for a mask of each box")
    prompts: tuple[str, ...] = Field((), description="what to look for in every picture")
    source: Literal["text"] | None = Field(
        None, alias="from", description="text: look for the phrases of the record's text"
    )
    min_score: float = Field(0.25, ge=0, le=1, description="boxes below it are left out")

    def check(self) -> None:
        """Raise FieldError if these do not fit together."""
        if self.backend == "cutout":
            for name, given in (("weights", self.weights), ("sam", self.sam), ("prompts", self.prompts)):
                if given:
                    raise FieldError(f"the back end cutout takes no {name}", (name,), "Name a `backend`")
            if self.source:
                raise FieldError("the back end cutout takes no text", ("from",), "Name a `backend`")
            return
        if self.weights is None:
            raise FieldError(
                f"the back end {self.backend} needs `weights`", ("backend",), "Add `weights: PATH`"
            )
        if bool(self.prompts) == bool(self.source):
            raise FieldError(
                "it needs either `prompts` or `from: text`", ("prompts",), "Name what to look for"
            )
        for i, prompt in enumerate(self.prompts):
            if not prompt.strip():
                raise FieldError("a prompt is empty", ("prompts", i), "Name a thing, or remove it")
            if "." in prompt and self.backend == "grounding-dino":
                raise FieldError(
                    f"{prompt!r} holds a full stop, which parts prompts", ("prompts", i), "Write two prompts"
                )

    def detector(self) -> Detector:
        """The one that these parameters name."""
        return (GroundingDino if self.backend == "grounding-dino" else Owlv2)(self.weights or "")


@operator("ground")
class Ground(ModelMeasure):
    """Things in a picture with their boxes, and with masks where there is a model for them.

    Without a model it finds one thing: the opaque part of a picture with transparency (`opaque`, exact), else
    what GrabCut tells apart from a margin of 10 % (`centre`, a guess at a salient thing, with no score). It
    knows no words. Boxes of the same thing are not merged.
    """

    params_model = GroundParams
    views: tuple[View, ...] = (DECODED,)
    version = 2
    batch = 1
    source = "Grounding DINO (arXiv 2303.05499), OWLv2 (2306.09683), SAM 2 (2408.00714); GrabCut of OpenCV"
    cost = "cutout 0.5 s for each image without transparency"

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        if self.params.backend == "cutout":
            self.device = "cpu"
        else:
            self.views = (NATIVE,)

    def writes(self) -> list[Column]:
        title = "alpha, else opencv grabcut" if self.params.backend == "cutout" else self.params.backend
        title += " + sam2" if self.params.sam else ""
        meaning = "label, box x0 y0 x1 y1 as shares, score, mask as COCO run lengths in JSON"
        columns = (
            Column("objects", pa.list_(OBJECT), "", meaning),
            Column("objects_found", pa.int16(), "count", "number of them", 0),
        )
        return [replace(c, backend=title, revision=self._revision) for c in columns]

    def needs(self) -> tuple[str, ...]:
        return ("text",) if self.params.source else ()

    @cached_property
    def _revision(self) -> str:
        places = [place for place in (self.params.weights, self.params.sam) if place]
        return "+".join(map(weights.revision, places)) or "1"

    @cached_property
    def _detector(self) -> Detector:
        return self.params.detector()

    @cached_property
    def _sam(self) -> Sam2 | None:
        return Sam2(self.params.sam) if self.params.sam else None

    def revision(self) -> str:
        return self._revision

    def check(self, available: Mapping[str, Column]) -> None:
        self.params.check()
        if self.params.backend == "cutout":
            return
        weights.check_package("transformers", "models")
        for name, model in (("weights", self._detector), ("sam", self._sam)):
            place = getattr(self.params, name)
            if model is None:
                continue
            weights.check(place, (name,), folder=True)
            if not place.startswith("hf:"):
                try:
                    model.check()
                except ThresherError as error:
                    raise FieldError(error.what, (name,), error.mend) from error

    def load(self, device: str) -> Any:
        if self.params.backend == "cutout":
            return None
        _ = self._detector.tokenizer
        return self._detector.load(device), self._sam.load(device) if self._sam else None

    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        if self.params.backend == "cutout":
            return [_thing(decoded) for decoded in batch.view(DECODED)]
        prompts = [self.params.prompts] * len(batch)
        if self.params.source:
            assert batch.columns is not None
            prompts = [phrases(text or "") for text in batch.columns["text"].to_pylist()]
        pictures = batch.view(NATIVE)
        return [
            (self._detector.shrink(rgb), p) if p else None for rgb, p in zip(pictures, prompts, strict=True)
        ]

    def forward(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        found = inputs if self.params.backend == "cutout" else [self._find(model, *one) for one in inputs]
        return {"objects": found, "objects_found": [len(objects) for objects in found]}

    def _find(self, model: Any, pixels: Any, prompts: Sequence[str]) -> list[dict[str, Any]]:
        detector, outliner = model
        found = self._detector.detect(detector, pixels, prompts, self.params.min_score)
        masks: list[Any] = [None] * len(found)
        if self._sam is not None and found:
            masks = [encode(mask) for mask in self._sam.masks(outliner, pixels, found)]
        return [
            {"label": one.label, "box": list(one.box), "score": round(one.score, 4), "mask": mask}
            for one, mask in zip(found, masks, strict=True)
        ]


def phrases(text: str) -> tuple[str, ...]:
    """The parts of a caption between punctuation marks, each once."""
    parts = (part.strip() for part in _PARTS.split(text))
    return tuple(dict.fromkeys(part for part in parts if part))[:MOST_PHRASES]


def _thing(decoded: Any) -> list[dict[str, Any]]:
    found = cutout(decoded)
    if found is None:
        return []
    return [{"label": found.label, "box": box_of(found.mask), "score": None, "mask": encode(found.mask)}]
