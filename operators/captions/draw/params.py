"""What `caption.draw` draws from and how: its parameters, and the columns that a plan fills in."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from thresher.operators.base import Params
from thresher.operators.captions.draw.synthesis import SynthesisParams
from thresher.operators.captions.draw.weights import Method
from thresher.schemas import Column

RAW = "text"
"""The column of the sidecar's text."""
RAW_MIN = 25.0
"""Score of a raw text that is kept, where CLIP gave it: DataComp's bound for ViT-B/32, SANA's `clip_thr`."""
CLIP = "open_clip"
"""How the back end of a CLIP score begins; none is published for the smaller cosines of others."""
WRITTEN = re.compile(r"(?P<record>.+)\.(?P<lang>en|zh)\.(?P<level>raw|tags|prompt|short|medium|long|dense)")


class CandidateParams(Params):
    """One text column to draw from."""

    text: str = Field(description="column of the text")
    score: str | None = Field(None, description="column of its CLIP score, a cosine")
    record: str | None = Field(
        None, description="column of the caption record; null is `NAME` for `NAME.en.short`, if there is one"
    )
    weight: float = Field(1.0, ge=0, description="its odds are multiplied by this")


class DrawParams(Params):
    """What is drawn from, and how."""

    candidates: Literal["auto"] | tuple[CandidateParams, ...] = Field(
        "auto", description="text columns; `auto`: those of all caption steps before, and the sidecar's text"
    )
    method: Method = Field(
        "power", description="how scores weigh: `power` (SANA's code) or `softmax` (paper)"
    )
    tau: float = Field(0.1, gt=0, description="temperature; the smaller, the more the best score wins")
    clip_thr: float = Field(
        25.0, description="`power` leaves out captions whose score times 100 is below, unless all are"
    )
    raw_min: float | Literal["auto"] | None = Field(
        "auto",
        description="raw texts whose score times 100 is below are neither drawn nor fused; null: all may be; "
        "`auto`: 25 where CLIP scored them, else null",
    )
    seed: int = Field(0, description="another seed draws other captions")
    epoch: int = Field(0, ge=0, description="each epoch draws anew; which records keep raw text stays")
    keep_raw: float = Field(
        0.1, ge=0, le=1, description="share of records that keep raw or fused text, of those that have any"
    )
    synthesis: SynthesisParams | None = Field(
        None, description="`{share: 0.3}`: so many records draw a caption made of verified claims; null: none"
    )


def text_columns(available: Mapping[str, Column]) -> list[str]:
    """The sidecar's text, and the texts of caption steps."""
    written = [name for name in available if WRITTEN.fullmatch(name) and record_of(name, available)]
    return [RAW, *sorted(written)]


def is_raw(text: str) -> bool:
    parts = WRITTEN.fullmatch(text)
    return text == RAW or bool(parts and parts["level"] == "raw")


def record_of(text: str, available: Mapping[str, Column]) -> str | None:
    parts = WRITTEN.fullmatch(text)
    return parts["record"] if parts and parts["record"] in available else None


def score_of(text: str, available: Mapping[str, Column]) -> str | None:
    name = "clip_score" if text == RAW else f"{text}.clip_score"
    return name if name in available else None


def raw_bound(candidates: Iterable[CandidateParams], available: Mapping[str, Column]) -> float | None:
    """`raw_min` where the scores of raw texts are by CLIP; None elsewhere."""
    scores = (available.get(one.score or "") for one in candidates if is_raw(one.text))
    return RAW_MIN if any(column and column.backend.startswith(CLIP) for column in scores) else None
