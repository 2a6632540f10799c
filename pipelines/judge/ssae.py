"""SSAE: the share of a prompt's points that a picture shows (HunyuanImage 3.0, arXiv 2509.23951).

A model lists the points of each prompt in twelve fields, once; then it marks each point on each picture,
after a sentence of reasons. Mean Image Accuracy is the mean over pictures of the share of points met, Global
Accuracy the share of all points met.
"""

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

from thresher.operators.base import Failure
from thresher.operators.captions.taxonomy import Field
from thresher.operators.models.chat.chat import Chat, ChatModel
from thresher.operators.models.chat.messages import Form, Message, jpeg
from thresher.pipelines.calibrate.statistics import Estimate
from thresher.pipelines.evaluate.measures import Ratio
from thresher.pipelines.evaluate.paired import outcome
from thresher.schemas import Reason, UsageError

PROMPTS = Path(__file__).parent / "prompts"
MAX_TOKENS = 4096
FIELDS = get_args(Field)[:12]
"""The fields of SSAE, of those of a caption's claims."""


class Point(Form):
    """One thing that a picture must show."""

    field: Literal[FIELDS]  # type: ignore[valid-type]
    text: str


class Points(Form):
    """What a prompt asks for."""

    points: list[Point]


class Mark(Form):
    """What is said of one point."""

    reason: str
    verdict: Literal["met", "missed"]


class Marks(Form):
    """What is said of all points of a picture, in order."""

    marks: list[Mark]


class Drawn(NamedTuple):
    """A picture and what was asked for."""

    prompt: str
    image: Path


class Judged(NamedTuple):
    """A picture's marks by point; a Failure where there are none."""

    drawn: Drawn
    points: list[Point]
    met: list[bool] | Failure


class Accuracy(NamedTuple):
    """With 95 % intervals over pictures."""

    mean_image: Estimate
    all_points: Estimate
    images: int
    failed: int


def read_drawn(folder: Path) -> list[Drawn]:
    """The pictures of a folder of samples: `samples.json`, a list of {prompt, image}."""
    told = folder / "samples.json"
    try:
        return [Drawn(one["prompt"], folder / one["image"]) for one in json.loads(told.read_bytes())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        mend = "Draw pictures first with `thresher sample CHECKPOINT`"
        raise UsageError(f"holds no samples: {error}", where=str(told), mend=mend) from error


def judge(drawn: Sequence[Drawn], model: ChatModel) -> list[Judged]:
    """Every picture's marks. Raises ThresherError where the model cannot be asked at all."""
    prompts = sorted({one.prompt for one in drawn})
    points = dict(zip(prompts, _answered(model.each(prompts, _points)), strict=True))
    asked = [(one, points[one.prompt]) for one in drawn]
    able = [(one, found) for one, found in asked if not isinstance(found, Failure)]
    marks = iter(_answered(model.each(able, _marks)))
    return [
        Judged(one, [], found) if isinstance(found, Failure) else Judged(one, found, next(marks))
        for one, found in asked
    ]


def accuracy(judged: Sequence[Judged]) -> Accuracy | None:
    """Both accuracies; None if nothing could be judged."""
    marked = [(one.drawn, one.met) for one in judged if not isinstance(one.met, Failure) and one.met]
    if not marked:
        return None
    names = [f"{drawn.prompt}\n{drawn.image.name}".encode() for drawn, _ in marked]
    ids = np.array([int.from_bytes(blake2b(n, digest_size=8).digest(), "little") for n in names], np.uint64)
    ratios = [
        {"image": Ratio(sum(met) / len(met), 1), "points": Ratio(sum(met), len(met))} for _, met in marked
    ]
    image, points = (outcome(name, [ratios], ids, 0).values[0] for name in ("image", "points"))
    return Accuracy(image, points, len(marked), len(judged) - len(marked))


def told(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Every picture's marks as plain values."""
    return [
        {"prompt": one.drawn.prompt, "image": one.drawn.image.name}
        | (
            {"failed": one.met.reason.value, "message": one.met.message}
            if isinstance(one.met, Failure)
            else {"points": [p.model_dump() | {"met": m} for p, m in zip(one.points, one.met, strict=True)]}
        )
        for one in judged
    ]


async def _points(chat: Chat, prompt: str) -> list[Point] | Failure:
    said = _prompt("points").replace("{{prompt}}", prompt)
    found = await chat.fill([Message("user", (said,))], Points, MAX_TOKENS)
    if isinstance(found, Failure):
        return found
    return found.points or Failure(Reason.UNPARSED, f"no points were found in the prompt {prompt!r}")


async def _marks(chat: Chat, item: tuple[Drawn, list[Point]]) -> list[bool] | Failure:
    drawn, points = item
    listed = "\n".join(f"{number}. {point.text}" for number, point in enumerate(points, 1))
    said = _prompt("mark").replace("{{points}}", listed)
    picture = jpeg(_pixels(drawn.image))
    found = await chat.fill([Message("user", (picture, said))], Marks, MAX_TOKENS)
    if isinstance(found, Failure):
        return found
    if len(found.marks) != len(points):
        return Failure(Reason.UNPARSED, f"{len(found.marks)} marks for {len(points)} points")
    return [mark.verdict == "met" for mark in found.marks]


def _answered(found: Sequence[Any]) -> list[Any]:
    """Answers and Failures; what would have met every request is raised."""
    for one in found:
        if isinstance(one, Exception):
            raise one
    return list(found)


def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.txt").read_text("utf-8").strip()


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
