"""One export with every kind of sample, and what each of them holds."""

from pathlib import Path
from typing import Any

from tests.trainer.shards import Sample, plain, png, words, write_export
from thresher.schemas.segments import image_segment, text_segment

SIDE = 16


def picture(seed: int) -> bytes:
    return png(SIDE, SIDE, seed=seed)


def image(number: int, role: Any, **more: Any) -> dict[str, Any]:
    return image_segment(f".{number}.png", role, SIDE, SIDE, **more)


def sequence(segments: list[dict[str, Any]], images: int, seed: int, name: str, **more: Any) -> Sample:
    return Sample(segments, {f".{i}.png": picture(seed + i) for i in range(images)}, name=name, **more)


def caption(name: str = "caption") -> Sample:
    sample = plain("a red square", picture(1), name=name)
    named = {"en.long": "a red square, café behind", "zh": "红色方块", "en.drawn": "a red square"}
    sample.segments[0] = text_segment("a red square", "cond", variants=named, drop="text")
    return sample


def edit(name: str = "edit", seed: int = 10) -> Sample:
    said = text_segment("make it blue", "cond", variants={"polite": "please make it blue"}, drop="text")
    return sequence([image(0, "cond", drop="img"), said, image(1, "target")], 2, seed, name)


def chain() -> Sample:
    steps = [text_segment(f"step {n}", "cond") for n in range(3)]
    parts = [
        image(0, "cond"),
        steps[0],
        image(1, "both"),
        steps[1],
        image(2, "both"),
        steps[2],
        image(3, "target"),
    ]
    return sequence(parts, 4, 20, "chain")


def references() -> Sample:
    said = text_segment("the dog of image 1 in the garden of image 2", "cond")
    return sequence([image(0, "cond"), image(1, "cond"), said, image(2, "target")], 3, 30, "references")


def interleaved() -> Sample:
    parts = [
        text_segment("First.", "target", frame_time=0.5),
        image(0, "both", frame_time=0.5),
        text_segment("Then.", "target", frame_time=2.0),
        image(1, "both", frame_time=2.0),
    ]
    return sequence(parts, 2, 40, "interleaved")


def reasoning() -> Sample:
    parts = [
        text_segment("a quiet morning", "cond", turn="user", drop="text"),
        text_segment("Fog, and low sun.", "target", turn="assistant"),
        image(0, "target", turn="assistant"),
    ]
    return sequence(parts, 1, 50, "reasoning")


def dialogue(turns: int = 2, name: str = "dialogue", seed: int = 60) -> Sample:
    parts = [image(0, "cond", turn="user")]
    for n in range(turns):
        parts += [
            text_segment(f"question {n}?", "cond", turn="user"),
            text_segment(f"answer {n}.", "target", turn="assistant"),
        ]
    return sequence(parts, 1, seed, name)


def every_kind() -> list[Sample]:
    samples = [caption(), edit(), chain(), references(), interleaved(), reasoning(), dialogue()]
    return [*samples, dialogue(1, "vqa", 70), words("Only words.", name="text")]


def export(folder: Path, samples: list[Sample] | None = None, per_shard: int = 4) -> Path:
    return write_export(folder, every_kind() if samples is None else samples, per_shard)
