"""Squares: a pool that a small model learns to draw and to describe in minutes on a CPU.

DIR/images/      64 px pictures of one square each, with captions of seven words beside them
DIR/truth.json   the true colours of each, and whose captions were made wrong
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from thresher.schemas.errors import UsageError

SIDE = 64
SQUARES = {
    "red": (220, 40, 40),
    "green": (40, 180, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 215, 50),
    "purple": (150, 60, 190),
    "orange": (245, 140, 30),
    "cyan": (40, 200, 215),
    "pink": (245, 130, 180),
}
BACKGROUNDS = {
    "black": (12, 12, 12),
    "white": (245, 245, 245),
    "grey": (128, 128, 128),
    "brown": (110, 70, 40),
}
SMALLEST, LARGEST = 24, 40
"""Side of a square, px."""


def make_squares(directory: Path, count: int = 2000, wrong: float = 0.0, seed: int = 0) -> str:
    """Draw `count` pictures in `directory`, a share `wrong` of them with another colour in the caption.

    The same arguments give the same bytes, and more pictures begin with the same ones. Returns what was
    done, in words. Raises UsageError where the folder holds anything else.
    """
    images = directory / "images"
    if directory.exists() and any(directory.iterdir()) and not _ours(directory):
        raise UsageError("holds something else than squares", where=str(directory), mend="Name a new folder")
    images.mkdir(parents=True, exist_ok=True)
    truth = []
    for i in range(count):
        random = np.random.default_rng([seed, i])
        square, ground = str(random.choice(list(SQUARES))), str(random.choice(list(BACKGROUNDS)))
        side = int(random.integers(SMALLEST, LARGEST + 1))
        x, y = random.integers(0, SIDE - side + 1, 2).tolist()
        said = square
        if random.random() < wrong:
            said = str(random.choice([name for name in SQUARES if name != square]))
        Image.fromarray(picture(square, ground, x, y, side)).save(images / f"{i:06d}.png")
        (images / f"{i:06d}.txt").write_text(f"a {said} square on a {ground} background", "utf-8")
        truth.append({"key": f"{i:06d}.png", "square": square, "background": ground, "said": said})
    told = {"kind": "squares", "seed": seed, "wrong": wrong, "pictures": truth}
    (directory / "truth.json").write_text(json.dumps(told, indent=0) + "\n", "utf-8")
    words = {"a", "on", "square", "background", *SQUARES, *BACKGROUNDS}
    (directory / "words.txt").write_text("".join(f"{word}\n" for word in sorted(words)), "utf-8")
    misled = sum(one["said"] != one["square"] for one in truth)
    return f"Drew {count} squares (seed {seed}) in {images}, {misled} with a wrong colour in the caption."


def picture(square: str, background: str, x: int, y: int, side: int) -> np.ndarray:
    """uint8 (64, 64, 3): a square of that colour with its upper left corner at (x, y)."""
    pixels = np.full((SIDE, SIDE, 3), BACKGROUNDS[background], np.uint8)
    pixels[y : y + side, x : x + side] = SQUARES[square]
    return pixels


def _ours(directory: Path) -> bool:
    """Whether the folder holds squares already."""
    try:
        return bool(json.loads((directory / "truth.json").read_bytes())["kind"] == "squares")
    except (OSError, ValueError, KeyError, TypeError):
        return False
