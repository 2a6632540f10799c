"""Can a verifier be trusted? It is asked once, before its first record, about drawn pictures."""

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from thresher.operators.base import Failure
from thresher.operators.captions.record import Claim
from thresher.operators.captions.taxonomy import Field
from thresher.operators.captions.verify.claims import WORDS, answered, question
from thresher.operators.captions.verify.decoys import MOST_YES
from thresher.operators.models.chat.chat import Chat, ChatModel, Choice, R, T
from thresher.operators.models.chat.messages import Message, jpeg
from thresher.operators.models.pictures import Pixels
from thresher.schemas.errors import ThresherError
from thresher.schemas.reasons import TRANSIENT

_SIDE = 512
_COLOURS = {"red": (200, 30, 30), "blue": (30, 60, 200), "green": (30, 150, 60), "black": (0, 0, 0)}


class Planted(NamedTuple):
    """A question with a known answer: a statement about a drawn picture."""

    picture: bytes
    field: Field
    statement: str
    true: bool


class Gate(NamedTuple):
    """How a verifier did; rates are shares of the statements of each kind, 20 and 10 of them."""

    asked: int
    false_yes: int
    """False statements that it called true, sure enough for a verdict."""
    asked_true: int
    false_no: int
    """True statements that it called false, sure enough for a verdict."""

    @property
    def trusted(self) -> bool:
        """Neither rate is above `MOST_YES`: ours for the second, the same bound."""
        return self.false_yes <= MOST_YES * self.asked and self.false_no <= MOST_YES * self.asked_true


class Gated:
    """A chat model that is put to the test before its first record; for several threads."""

    def __init__(self, model: ChatModel, prompts: Mapping[str, str], verifier: str) -> None:
        self._model, self._prompts, self._verifier = model, prompts, verifier
        self._gate: Gate | None = None
        self._lock = threading.Lock()

    def each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        """As the model does."""
        return self._model.each(items, work)

    @property
    def spent(self) -> Mapping[str, float]:
        """What the model used, and the counts of the gate as `gate_*`: 0 before it was asked."""
        counts = (self._gate or Gate(0, 0, 0, 0))._asdict()
        return {**self._model.spent, **{f"gate_{name}": count for name, count in counts.items()}}

    @property
    def each_spent(self) -> Sequence[Mapping[str, float]]:
        """What each record took, without the questions of the gate."""
        return self._model.each_spent[len(planted()) if self._gate else 0 :]

    def gate(self) -> Gate | ThresherError:
        """How the model did; asked once. An error where it gives no answer now: whom to trust must not hang
        on the weather."""
        with self._lock:
            found = self._gate or self._ask()
            if isinstance(found, Gate):
                self._gate = found
        return found

    def _ask(self) -> Gate | ThresherError:
        asked = planted()
        wrong = {True: 0, False: 0}
        for one, found in zip(asked, self._model.each(asked, self._choose), strict=True):
            if isinstance(found, ThresherError):
                return found
            if isinstance(found, Failure) and found.reason in TRANSIENT:
                what = f"the model did not answer what it is tested with: {found.message}"
                return ThresherError(what, self._verifier, "Run again when it does")
            choice = None if isinstance(found, Failure) else found
            verdict = answered(_claim(one), choice, self._verifier).verdict
            wrong[one.true] += verdict == ("refuted" if one.true else "supported")
        true = sum(one.true for one in asked)
        return Gate(len(asked) - true, wrong[False], true, wrong[True])

    async def _choose(self, chat: Chat, one: Planted) -> Choice | Failure:
        said = Message("user", (one.picture, question(self._prompts, _claim(one))))
        return await chat.choose([said], WORDS)


def _claim(one: Planted) -> Claim:
    return Claim(id="planted", field=one.field, text={"en": one.statement})


@cache
def planted() -> tuple[Planted, ...]:
    """20 false and 10 true statements about five drawn pictures."""
    questions: list[tuple[bytes, Field, str, bool]] = []

    def add(picture: Pixels, true: Sequence[tuple[Field, str]], false: Sequence[tuple[Field, str]]) -> None:
        shown = jpeg(picture)
        questions.extend((shown, field, said, True) for field, said in true)
        questions.extend((shown, field, said, False) for field, said in false)

    add(
        _shapes("circle", "red", 1),
        [("primary.noun", "There is a circle."), ("primary.key_attributes", "The circle is red.")],
        [
            ("primary.noun", "There is a dog."),
            ("primary.key_attributes", "The circle is blue."),
            ("count", "There are four circles."),
            ("scene.noun", "The scene is a kitchen."),
        ],
    )
    add(
        _shapes("square", "blue", 2),
        [("count", "There are two squares."), ("primary.key_attributes", "The squares are blue.")],
        [
            ("count", "There are five squares."),
            ("primary.key_attributes", "The squares are red."),
            ("primary.noun", "There are triangles."),
            ("secondary.noun", "A woman stands beside the squares."),
        ],
    )
    add(
        _shapes("circle", "green", 5),
        [("count", "There are five circles."), ("primary.key_attributes", "The circles are green.")],
        [
            ("count", "There are two circles."),
            ("primary.key_attributes", "The circles are black."),
            ("primary.noun", "There is a bicycle."),
            ("ocr", "The words “FIVE APPLES” are written in the picture."),
        ],
    )
    add(
        _word("OPEN"),
        [
            ("ocr", "The word “OPEN” is written in the picture."),
            ("primary.key_attributes", "The letters are black."),
        ],
        [
            ("ocr", "The word “CLOSED” is written in the picture."),
            ("ocr", "The word “OVEN” is written in the picture."),
            ("primary.key_attributes", "The letters are green."),
            ("primary.noun", "There is a cat."),
        ],
    )
    add(
        _beside(),
        [
            ("relation", "The red circle is left of the blue square."),
            ("secondary.noun", "There is a square."),
        ],
        [
            ("relation", "The red circle is right of the blue square."),
            ("count", "There are six squares."),
            ("secondary.attributes", "The square is green."),
            ("scene.noun", "The scene is a beach."),
        ],
    )
    return tuple(Planted(*one) for one in questions)


def _shapes(shape: str, colour: str, count: int) -> Pixels:
    """`count` equal shapes in a row, on white."""
    picture = _white()
    for i in range(count):
        _draw(picture, shape, colour, round(_SIDE * (2 * i + 1) / (2 * count)), min(90, _SIDE // (3 * count)))
    return picture


def _beside() -> Pixels:
    picture = _white()
    _draw(picture, "circle", "red", _SIDE // 4, 70)
    _draw(picture, "square", "blue", 3 * _SIDE // 4, 70)
    return picture


def _word(word: str) -> Pixels:
    import cv2

    picture = _white()
    cv2.putText(picture, word, (50, 300), cv2.FONT_HERSHEY_SIMPLEX, 5, (0, 0, 0), 14)
    return picture


def _white() -> Pixels:
    return np.full((_SIDE, _SIDE, 3), 255, np.uint8)


def _draw(picture: Pixels, shape: str, colour: str, x: int, radius: int) -> None:
    import cv2

    y = _SIDE // 2
    if shape == "circle":
        cv2.circle(picture, (x, y), radius, _COLOURS[colour], -1)
    else:
        cv2.rectangle(picture, (x - radius, y - radius), (x + radius, y + radius), _COLOURS[colour], -1)
