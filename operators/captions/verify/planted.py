"""Statements with known answers about drawn pictures, which a verifier is tested with."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from thresher.operators.captions.record import Claim
from thresher.operators.captions.taxonomy import Field, Lang
from thresher.operators.models.chat.messages import jpeg
from thresher.operators.models.pictures import Pixels

_SIDE = 512
_COLOURS = {"red": (200, 30, 30), "blue": (30, 60, 200), "green": (30, 150, 60), "black": (0, 0, 0)}
_Said = tuple[Field, str, str]
"""What it is about, in English and in Chinese."""


class Planted(NamedTuple):
    """A question with a known answer: a statement about a drawn picture."""

    picture: bytes
    field: Field
    lang: Lang
    statement: str
    true: bool

    @property
    def claim(self) -> Claim:
        """As it is asked."""
        return Claim(id="planted", field=self.field, text={self.lang: self.statement})


@cache
def planted(languages: tuple[Lang, ...]) -> tuple[Planted, ...]:
    """20 false and 10 true statements about five drawn pictures, by turns in each of the languages."""
    found: list[Planted] = []
    for true in (True, False):
        drawn = [(jpeg(draw()), kinds[not true]) for draw, *kinds in DRAWN]
        said = [(picture, one) for picture, stated in drawn for one in stated]
        for i, (picture, (field, en, zh)) in enumerate(said):
            lang = languages[i % len(languages)]
            found.append(Planted(picture, field, lang, zh if lang == "zh" else en, true))
    return tuple(found)


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


DRAWN: tuple[tuple[Callable[[], Pixels], Sequence[_Said], Sequence[_Said]], ...] = (
    (
        partial(_shapes, "circle", "red", 1),
        [
            ("primary.noun", "There is a circle.", "画面中有一个圆。"),
            ("primary.key_attributes", "The circle is red.", "圆是红色的。"),
        ],
        [
            ("primary.noun", "There is a dog.", "画面中有一只狗。"),
            ("primary.key_attributes", "The circle is blue.", "圆是蓝色的。"),
            ("count", "There are four circles.", "画面中有四个圆。"),
            ("scene.noun", "The scene is a kitchen.", "场景是厨房。"),
        ],
    ),
    (
        partial(_shapes, "square", "blue", 2),
        [
            ("count", "There are two squares.", "画面中有两个正方形。"),
            ("primary.key_attributes", "The squares are blue.", "正方形是蓝色的。"),
        ],
        [
            ("count", "There are five squares.", "画面中有五个正方形。"),
            ("primary.key_attributes", "The squares are red.", "正方形是红色的。"),
            ("primary.noun", "There are triangles.", "画面中有三角形。"),
            ("secondary.noun", "A woman stands beside the squares.", "正方形旁边站着一位女士。"),
        ],
    ),
    (
        partial(_shapes, "circle", "green", 5),
        [
            ("count", "There are five circles.", "画面中有五个圆。"),
            ("primary.key_attributes", "The circles are green.", "这些圆是绿色的。"),
        ],
        [
            ("count", "There are two circles.", "画面中有两个圆。"),
            ("primary.key_attributes", "The circles are black.", "这些圆是黑色的。"),
            ("primary.noun", "There is a bicycle.", "画面中有一辆自行车。"),
            ("ocr", "The words “FIVE APPLES” are written in the picture.", "画面上写着“FIVE APPLES”。"),
        ],
    ),
    (
        partial(_word, "OPEN"),
        [
            ("ocr", "The word “OPEN” is written in the picture.", "画面上写着“OPEN”。"),
            ("primary.key_attributes", "The letters are black.", "字母是黑色的。"),
        ],
        [
            ("ocr", "The word “CLOSED” is written in the picture.", "画面上写着“CLOSED”。"),
            ("ocr", "The word “OVEN” is written in the picture.", "画面上写着“OVEN”。"),
            ("primary.key_attributes", "The letters are green.", "字母是绿色的。"),
            ("primary.noun", "There is a cat.", "画面中有一只猫。"),
        ],
    ),
    (
        _beside,
        [
            ("relation", "The red circle is left of the blue square.", "红色的圆在蓝色正方形的左边。"),
            ("secondary.noun", "There is a square.", "画面中有一个正方形。"),
        ],
        [
            ("relation", "The red circle is right of the blue square.", "红色的圆在蓝色正方形的右边。"),
            ("count", "There are six squares.", "画面中有六个正方形。"),
            ("secondary.attributes", "The square is green.", "正方形是绿色的。"),
            ("scene.noun", "The scene is a beach.", "场景是海滩。"),
        ],
    ),
)
"""What draws a picture, and what is true and what is false of it."""
