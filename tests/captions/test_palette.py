"""Colour names of pixels that everybody names alike, and of real photographs."""

import numpy as np
import pytest
from PIL import Image

from thresher.operators.base import Batch
from thresher.operators.captions.facts.colours import named
from thresher.operators.captions.facts.palette import MIXED, RGB, Palette
from thresher.operators.captions.language.colours import NAMES, word
from thresher.operators.values import to_array
from thresher.schemas import Record

FOCAL = {
    "black": (10, 10, 10), "grey": (128, 128, 128), "white": (250, 250, 250), "red": (190, 20, 30),
    "orange": (245, 140, 30), "yellow": (250, 220, 60), "green": (30, 140, 60), "blue": (20, 90, 170),
    "purple": (120, 50, 140), "pink": (250, 190, 200), "brown": (110, 70, 40), "olive": (100, 95, 30),
    "yellow-green": (150, 190, 60),
}  # fmt: skip
RECORD = Record(bytes(16), "pool", "a.jpg", ())


def measured(*pictures: np.ndarray) -> dict[str, list]:
    values = Palette().measure(Batch([RECORD] * len(pictures), {RGB: pictures}))
    assert not values.failures
    return {
        column.name: to_array(values.columns[column.name], column)[0].to_pylist()
        for column in Palette().writes()
    }


def test_every_name_has_its_colour():
    found = {name: NAMES[named(np.array([[rgb]], np.uint8))[0, 0]] for name, rgb in FOCAL.items()}
    assert found == {name: name for name in NAMES}
    assert len({word(name, "zh") for name in NAMES}) == len(NAMES)


def test_shares_and_places():
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[:100] = FOCAL["blue"]
    picture[100:] = FOCAL["brown"]
    picture[200:, 200:] = FOCAL["white"]
    row = {name: values[0] for name, values in measured(picture).items()}
    shares = {colour["name"]: colour["share"] for colour in row["palette"]}
    assert list(shares) == ["brown", "blue", "white"]
    assert shares == pytest.approx({"brown": 1 / 2, "blue": 1 / 3, "white": 1 / 6}, abs=0.02)
    assert row["palette"][1]["rgb"] == pytest.approx(FOCAL["blue"], abs=2)
    assert row["palette_grid"][:3] == ["blue"] * 3 and row["palette_grid"][8] == "white"


def test_no_colour_prevails_in_a_checkerboard():
    cells = np.indices((300, 300)).sum(axis=0) // 20 % 3
    picture = np.array([FOCAL["red"], FOCAL["green"], FOCAL["blue"]], np.uint8)[cells]
    assert set(measured(picture)["palette_grid"][0]) == {MIXED}


def test_real_photographs(photo_tiles):
    rows = measured(*(np.asarray(Image.open(path)) for path in photo_tiles))
    for path, palette, grid in zip(photo_tiles, rows["palette"], rows["palette_grid"], strict=True):
        shares = [colour["share"] for colour in palette]
        assert shares == sorted(shares, reverse=True) and 0.3 < sum(shares) <= 1.0001, path.name
        assert len(grid) == 9
    names = {
        path.name: [colour["name"] for colour in p]
        for path, p in zip(photo_tiles, rows["palette"], strict=True)
    }
    assert names["hubble_deep_field-05.jpg"][0] == "black"
    assert names["rocket-00.jpg"][0] == "blue"
    assert names["chelsea-00.jpg"][0] == "brown"


def test_a_grey_picture_has_no_other_colour():
    ramp = np.repeat(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], 200, 0).repeat(3, 2)
    assert {colour["name"] for colour in measured(ramp)["palette"][0]} == {"black", "grey", "white"}
    one = measured(np.zeros((1, 1, 3), np.uint8))
    assert one["palette"][0][0]["name"] == "black" and one["palette_grid"][0][0] in ("black", MIXED)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((255, 0, 0), "red"),
        ((220, 20, 20), "red"),
        ((160, 0, 0), "red"),
        ((0, 255, 0), "green"),
        ((0, 255, 255), "blue"),
        ((255, 165, 0), "orange"),
        ((255, 255, 0), "yellow"),
        ((128, 0, 128), "purple"),
        ((139, 69, 19), "brown"),
    ],
)
def test_vivid_colours_of_screens_have_their_own_names(rgb, name):
    assert NAMES[named(np.array([[rgb]], np.uint8))[0, 0]] == name


CSS = {
    "black": "000000", "white": "ffffff fffafa f8f8ff f5f5f5", "grey": "808080 a9a9a9 696969 778899 708090",
    "red": "ff0000 8b0000 b22222 dc143c", "orange": "ffa500 ff8c00 ff7f50", "yellow": "ffff00 fffacd",
    "green": "008000 006400 228b22 00ff00 32cd32 90ee90 98fb98 2e8b57 3cb371 8fbc8f 00ff7f",
    "blue": (
        "0000ff 00008b 0000cd 000080 4169e1 1e90ff 00bfff 87ceeb 4682b4 6495ed add8e6 87cefa 191970 b0c4de "
        "b0e0e6 5f9ea0"
    ),
    "purple": "800080 8a2be2 9400d3 9932cc ba55d3 9370db 4b0082 663399 8b008b",
    "pink": "ffc0cb ffb6c1 ff69b4 ff1493", "brown": "8b4513", "olive": "808000 556b2f",
    "yellow-green": "9acd32 adff2f",
}  # fmt: skip
"""Colours of CSS whose basic colour is in their names, or which everybody calls so."""
PLAIN = {
    "blue": "1e1ec8 0000a0 1414b4 1919c8 1e28c8 3232dc 3c3cff 2828be 3f51b5 0047ab 141e5a 020035",
    "red": "aa1e1e b41414 a01414 be2828 c81e1e 960a0a cd3232 b91c1c be1e14",
    "black": "010203 040404 0a0a10",
}


@pytest.mark.acceptance("I30")
def test_colours_of_the_web_have_the_names_that_everybody_gives_them() -> None:
    for known in (CSS, PLAIN):
        for name, codes in known.items():
            found = [
                NAMES[named(np.array([[list(bytes.fromhex(c))]], np.uint8))[0, 0]] for c in codes.split()
            ]
            assert dict(zip(codes.split(), found, strict=True)) == dict.fromkeys(codes.split(), name)
