"""Thirteen colour names, and which of them a pixel has.

The names are level 1 of the ISCC-NBS system (Kelly and Judd, "Color: Universal Language and Dictionary of
Names", NBS Special Publication 440, 1976). Each stands for the centroids of its finer names ("dark olive
brown" is brown, "violet" purple, "olive green" olive), and a pixel has the name of the nearest centroid in
OKLab (Ottosson, "A perceptual color space for image processing", 2020): in CIE Lab, lines of one hue bend,
and plain blues are nearest to violets. Names that begin with "blackish" are black here, and whatever has
hardly any chroma or light is black, grey or white.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from thresher.operators.captions.language.colours import NAMES

_CENTROIDS = {
    "black": "1a2421 1e2321 202428 202830 222222 242124 25241d 28201c 282022 291e29 2e1d21",
    "grey": (
        "4e5755 51585e 555555 57554c 5b504f 5c504f 5d555b 7d8984 81878b 848482 8a8776 8b8589 8e8279 "
        "8f817f b2beb5 b4bcc0 b9b8b5 bfb8a5 bfb9bd c1b6b3"
    ),
    "white": "dfede8 e8e3e5 e9e9ed eae3e1 f0ead6 f2f3f4",
    "red": (
        "38152c 3f1728 54133b 543d3f 5c0923 673147 722f37 78184a 841b2d 905d5d 915f6d a8516e ab4e52 "
        "ad8884 af868e b3446c bc3f4a be0032 ce4676"
    ),
    "orange": "9e4732 aa381e ae6938 b4745e be6516 cb6d51 d9603b d99058 e25822 ed872d f38400 fab57f fd943f",
    "yellow": (
        "98943e 9b9400 a18f60 ab9144 af8d13 b9b459 b9b57d be8a3d beb72e c2b280 c98500 c9ae5d d4af37 "
        "dcd300 e3a857 e9e450 eaa221 eae679 ebe8a4 f3c300 f3e5ab f6a600 f8de7e fad6a5 fada5e fbc97f "
        "ffc14f"
    ),
    "green": (
        "002a29 003118 00443f 004b49 00543d 00622d 007959 007a74 008856 008882 00a693 173620 1b4d3e "
        "1c352d 27a64c 317873 355e3b 3a4b47 3b7861 3eb489 44944a 5e716a 66ada4 679267 6aab8e 83d37d "
        "8da399 8ed1b2 93c592 96ded1 b6e5af c7e6d7"
    ),
    "blue": (
        "002e3b 00304e 00416a 004958 0067a5 007791 0085a1 00a1c2 239eba 252440 272458 2e8495 30267a "
        "36454f 367588 436b95 4997d0 4c516d 4e5180 536878 545aa7 66aabc 6c79b8 70a3cc 8791bf 8c92ac "
        "91a3b0 9cd1dc a1caf1 b3bce2 bcd4e6 c0c8e1"
    ),
    "purple": (
        "2f2140 301934 32174d 341731 401a4c 50404d 54194e 554c69 563c5c 5d3954 602f6b 604e81 604e97 "
        "702963 796878 7e73b8 836479 86608e 870074 875692 8c82b6 9065ca 915c83 9690ab 9a4eae 9e4f88 "
        "aa8a9e aa98a9 b695c0 b784a7 c4c3dd d399e6 d5badb d6cadd dcd0ff"
    ),
    "pink": (
        "c08081 c17e91 c2ac99 c3a6b1 c48379 c4aead c7ada3 d597ae d9a6a9 de6fa1 dea5a4 e4717a e68fac "
        "e8ccd7 ea9399 ead8d7 ecd5c5 efbbcc f4c2c2 f99379 f9ccca ffb5ba ffb7a5 ffc8d6"
    ),
    "brown": (
        "3b3121 3e1d1e 3e322c 422518 43302e 483c32 4b3621 56070c 593319 635147 654522 674c47 6c541e "
        "6f4e37 79443b 7e6d5a 80461b 826644 882d17 958070 967117 977f73 996515 a67b5b a87c6d c19a6b"
    ),
    "olive": "232f00 2b3d26 31362b 363527 403d21 404f00 4a5d23 515744 5b5842 665d1e 867e36 8c8767",
    "yellow-green": "467129 7e9f2e 8a9a5b 8db600 8f9779 bdda57 c9dc89 dadfb7",
}
"""Name -> sRGB centroids. 265 of the 267; "deep yellowish pink" has no place in sRGB."""

_VIVID = {
    "red": "ff0000 e60000 dc1414 c80000 a00000 ff2828 b22222 a52a2a",
    "green": "00ff00 00c800 009600 00ff80",
    "blue": "0000ff 00ffff 0080ff 00c8ff",
    "purple": "8000ff a000a0 800080 4b0082",
    "pink": "ff00ff ff0080 ff66cc",
    "yellow": "ffff00",
    "orange": "ff8000 ffa500",
    "olive": "808000",
}
"""Colours of screens that are more vivid than any centroid: to the nearest of those pure red was orange and
pure green yellow-green. Ours, by how the web names them."""
_NEUTRAL = ("black", "grey", "white")
_CHROMA = 8.0
"""Of CIE Lab; below it a colour is neutral. Ours: grey photographs stay below 4, greys below 11."""
_LIGHTNESS = 3.0
"""Of CIE Lab; below it, too. Ours: of sRGB 11, 11, 11, while midnight blues have 4."""
_HUE = 3.0
"""Weight of the two axes of hue in distances, on which names depend more than on lightness. Ours, by the
colours of CSS and of the XKCD survey whose names hold a basic colour: with 3 or 4 most of them get it."""
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
"""The two matrices of OKLab, from linear sRGB."""
_BITS = 5
"""Of each channel that the table of names tells apart."""


def named(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The place in `NAMES` of each pixel's colour: (h, w, 3) sRGB -> (h, w)."""
    red, green, blue = (rgb[..., i].astype(np.intp) >> (8 - _BITS) for i in range(3))
    return _table()[(red << 2 * _BITS) | (green << _BITS) | blue]


@cache
def _table() -> NDArray[np.uint8]:
    """The place of the name of every colour of 15 bits."""
    steps = np.arange(1 << _BITS, dtype=np.float32) + 0.5
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    cube = cube / (1 << _BITS)
    lab, colours = _lab(cube), _oklab(cube)
    dull = (np.hypot(lab[:, 1], lab[:, 2]) < _CHROMA) | (lab[:, 0] < _LIGHTNESS)
    known = {name: codes.split() + _VIVID.get(name, "").split() for name, codes in _CENTROIDS.items()}
    hexes = [(place, code) for place, name in enumerate(NAMES) for code in known[name]]
    places = np.array([place for place, _ in hexes], np.uint8)
    centroids = _oklab(np.array([list(bytes.fromhex(code)) for _, code in hexes], np.float32) / 255)
    neutral = np.isin(places, [NAMES.index(name) for name in _NEUTRAL])
    found = []
    for block, pale in zip(np.array_split(colours, 64), np.array_split(dull, 64), strict=True):
        distances = ((block[:, None] - centroids) ** 2).sum(axis=2)
        distances[np.ix_(pale, ~neutral)] = np.inf
        found.append(places[distances.argmin(axis=1)])
    return np.concatenate(found)


def _oklab(colours: NDArray[np.floating]) -> NDArray[np.float32]:
    """OKLab of sRGB colours in 0-1, (n, 3), its hue weighted."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    found = np.cbrt(linear @ _TO_CONES.T) @ _TO_OKLAB.T * (1, _HUE, _HUE)
    return np.asarray(found, np.float32)


def _lab(colours: NDArray[np.floating]) -> NDArray[np.float32]:
    """CIE Lab (D65) of sRGB colours in 0-1, (n, 3)."""
    import cv2

    return np.asarray(cv2.cvtColor(colours[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0], np.float32)
