"""Small runs: an export of coloured images with captions, and a config for a model that a CPU trains."""

from pathlib import Path

import yaml

from tests.trainer.shards import plain, png, words, write_export

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "grey": (120, 120, 120)}


def exports(folder: Path, n: int = 60) -> dict[str, Path]:
    """`images`: plain colours of several shapes; `texts`: texts of very unequal lengths."""
    if (folder / "texts" / "dataset.json").exists():
        return {name: folder / name for name in ("images", "texts")}
    named = list(COLOURS.items())
    images = [
        plain(f"a {named[i % 4][0]} image {i}", png(32 + 16 * (i % 3), 48, named[i % 4][1])) for i in range(n)
    ]
    texts = [words("so it goes " * (1 + i * i % 17), name=f"text{i}") for i in range(n)]
    return {
        "images": write_export(folder / "images", images, per_shard=25, name="images"),
        "texts": write_export(folder / "texts", texts, per_shard=25, name="texts"),
    }


def write_config(folder: Path, held: dict[str, Path], name: str = "run", **stage) -> Path:
    """A config beside the exports, its only stage changed by `stage`."""
    first = {
        "name": "one",
        "steps": 4,
        "row": 192,
        "rows": 5,
        "micro": 2,
        "image": 32,
        "lr": 2e-3,
        "warmup": 2,
    }
    config = {
        "name": name,
        "image": {"stride": 8},
        "model": {"width": 32, "depth": 2, "heads": 2, "kv_heads": 1, "predict": "x"},
        "sources": {n: {"export": str(e)} for n, e in held.items()},
        "stages": [first | {"window": 64, "block": 16} | stage],
        "save": 3,
        "hold": 0,
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config))
    return file
