"""One sample of every kind that the contract of shards names, its texts and images drawn from a number."""

import numpy as np

from tests.trainer.shards import Sample, png
from thresher.schemas.segments import image_segment, text_segment

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220)}


def samples(number: int) -> dict[str, Sample]:
    """Every row of the table of kinds, by name."""
    rng = np.random.default_rng(number)
    files: dict[str, bytes] = {}

    def text(role="cond", **more):
        words = "".join(rng.choice(list("abc de"), rng.integers(1, 30))) + "."
        variants = {"en.long": words * 2, "fr": "é" + words} if rng.random() < 0.5 else {}
        return text_segment(words, role, variants=variants, **more)

    def image(role, **more):
        width, height = (int(side) for side in rng.integers(20, 60, 2))
        name = f".{len(files)}.png"
        files[name] = png(width, height, seed=number)
        return image_segment(name, role, width, height, **more)

    kinds = {
        "plain": lambda: [text(drop="text"), image("target")],
        "described": lambda: [image("cond"), text("target")],
        "edit": lambda: [image("cond", drop="img"), text(drop="text"), image("target")],
        "chain": lambda: [
            image("cond"),
            text(),
            image("both"),
            text(),
            image("both"),
            text(),
            image("target"),
        ],
        "references": lambda: [
            *(image("cond", drop="img") for _ in range(3)),
            text(drop="text"),
            image("target"),
        ],
        "interleaved": lambda: [s for _ in range(3) for s in (text("target"), image("both"))],
        "reasoning": lambda: [text(drop="text"), text("target"), image("target")],
        "reasoned edit": lambda: [image("cond"), text(), text("target"), image("target")],
        "video": lambda: [
            s for t in range(3) for s in (text("target", frame_time=t / 2), image("both", frame_time=t / 2))
        ],
        "clip": lambda: [image("cond"), *(image("target", group=1) for _ in range(3))],
        "dialogue": lambda: [
            image("cond"),
            text(turn="user"),
            text("target", turn="assistant"),
            text(turn="user"),
            text("target", turn="assistant"),
        ],
        "text": lambda: [text("target")],
    }
    out = {}
    for name, make in kinds.items():
        files = {}
        segments = make()
        out[name] = Sample(segments, files, name=f"{name} {number}", task=name)
    return out
