"""`clarity`: what a vision-language model says of a picture's sharpness, noise and dynamic range."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from thresher.operators.base import Batch, Failure, View
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.measure import ChatMeasure
from thresher.operators.models.chat.messages import Form, Message, jpeg, prompt, prompt_revision
from thresher.operators.registry import operator
from thresher.schemas import Column

RGB = View("rgb", 512)
PROMPT = "clarity"
MAX_TOKENS = 1024
"""Of a reply; the object takes 30, a model that thinks first takes the rest."""
POINTS = {"excellent": 1.0, "good": 0.75, "fair": 0.5, "poor": 0.25, "bad": 0.02}
"""A single bad part makes the score low, not nothing, as in `quality.nr`."""
PARTS = {
    "clarity_sharpness": "in focus, without motion blur",
    "clarity_noise": "free of grain, blocks and banding",
    "clarity_range": "detail in bright and dark parts",
}
Level = Literal["excellent", "good", "fair", "poor", "bad", "unsure"]


class Marks(Form):
    """The answer."""

    sharpness: Level
    noise: Level
    dynamic_range: Level


@operator("clarity")
class Clarity(ChatMeasure):
    """How clear a picture is to a vision-language model, from 0 to 1: the geometric mean of its marks for
    sharpness, noise and dynamic range.

    The marks are words (excellent 1, good 0.75, fair 0.5, poor 0.25, bad 0.02); what the model is not sure of
    is null and does not count. It sees the picture at a short side of 512 px and a long side of 1,024: fine
    noise and slight blur are gone there, and are in `sharpness` and `noise` of `quality`. The marks are
    uncalibrated. It needs a model on a server or a GPU; `quality.nr` is the choice on a CPU alone.
    """

    views = (RGB,)
    source = (
        "HunyuanImage 3.0 (arXiv 2509.23951, section 2) names the three parts; words instead of numbers: "
        "Q-Align (arXiv 2312.17090)"
    )
    cost = "one request with one picture; `in_flight` of the profile at once for each worker"

    def writes(self) -> list[Column]:
        columns = [
            Column("clarity", pa.float32(), "score", "geometric mean of the three, uncalibrated", 0, 1)
        ]
        columns += [Column(name, pa.float32(), "score", PARTS[name], 0, 1) for name in PARTS]
        return [replace(c, backend=self.params.title, revision=self.revision()) for c in columns]

    def asks(self) -> str:
        return prompt_revision(PROMPT, Marks)

    def check(self, available: Mapping[str, Column]) -> None:
        self.params.check("Without one, take `quality.nr`, which is classical")

    def prepare(self, batch: Batch) -> Sequence[bytes]:
        return [jpeg(rgb) for rgb in batch.view(RGB)]

    async def work(self, chat: Chat, item: bytes) -> Mapping[str, Any] | Failure:
        marks = await chat.fill([Message("user", (item, prompt(PROMPT)))], Marks, MAX_TOKENS)
        return marks if isinstance(marks, Failure) else _values(marks)


def _values(marks: Marks) -> dict[str, float | None]:
    """The score and its parts."""
    points = [POINTS.get(word) for word in (marks.sharpness, marks.noise, marks.dynamic_range)]
    sure = [p for p in points if p is not None]
    score = float(np.prod(sure) ** (1 / len(sure))) if sure else None
    return {"clarity": score} | dict(zip(PARTS, points, strict=True))
