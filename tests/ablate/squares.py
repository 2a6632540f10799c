"""Squares of eight colours on four backgrounds, with true captions or some that name another colour."""

import io
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.trainer.shards import plain, write_export

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (30, 40, 220),
    "yellow": (230, 220, 30),
    "cyan": (30, 210, 210),
    "magenta": (210, 30, 200),
    "white": (245, 245, 245),
    "orange": (250, 140, 20),
}
GROUNDS = {"grey": (128, 128, 128), "black": (10, 10, 10), "brown": (110, 70, 40), "navy": (10, 15, 70)}


def write_squares(folder: Path, n: int, wrong: float) -> Path:
    """An export of `n` pictures of 64 px; a share `wrong` of the captions names a wrong colour."""
    samples = []
    for i in range(n):
        random = np.random.default_rng(i)
        colour, ground = random.choice(list(COLOURS)), random.choice(list(GROUNDS))
        pixels = np.empty((64, 64, 3), np.int64)
        pixels[:] = GROUNDS[ground]
        side = random.integers(24, 41)
        x, y = random.integers(0, 64 - side, 2)
        pixels[y : y + side, x : x + side] = COLOURS[colour]
        noisy = np.clip(pixels + random.integers(-6, 7, pixels.shape), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, "PNG")
        said = random.choice([c for c in COLOURS if c != colour]) if random.random() < wrong else colour
        samples.append(plain(f"a {said} square on {ground}", buffer.getvalue(), name=f"square{i}"))
    return write_export(folder, samples, 400, name=folder.name)


def write_config(file: Path, **stage: float | str) -> Path:
    """A training config that a CPU runs in seconds, its stage changed by `stage`."""
    first = {"name": "one", "steps": 10, "row": 256, "rows": 6, "micro": 6, "image": 64, "shift": 8}
    first |= {"lr": 2e-3, "warmup": 30, "ema": 0.99, "decay": 0.01, "long": "drop"}
    config = {
        "name": "squares",
        "image": {"tokenizer": "pixels", "stride": 16},
        "model": {"width": 64, "depth": 2, "heads": 2, "kv_heads": 2, "predict": "x"},
        "sources": {"set": {"export": ""}},
        "stages": [first | {"losses": {"ce": 1, "mse": 1, "repa": 0}} | stage],
    }
    file.write_text(yaml.safe_dump(config))
    return file
