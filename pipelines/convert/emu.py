"""Sequences as Emu3.5 writes and shows them: one protobuf `emu3p5.story.Story` a sample.

BAAI has published no layout of its training data. What is public is the message that `inference.py` writes
for each generated sequence and `src/utils/vis_proto.py` reads (https://github.com/baaivision/Emu3.5,
`src/proto/emu_pb.py`); how samples are laid into its fields is our reading.
"""

import struct
from pathlib import Path

from thresher.pipelines.convert.layout import NoPlace, first_text
from thresher.pipelines.convert.source import Sample, Source
from thresher.schemas.segments import Segment

STORY = {"story_id": 1, "clips": 2, "question": 12, "reference_images": 17}
CLIP = {"clip_id": 1, "timestamp": 2, "segments": 101}
SEGMENT = {"asr": 2, "images": 101}
META = {"timestamp": 2, "chain_of_thought": 7, "image": 11}
IMAGE = {"width": 1, "height": 2, "format": 3, "image_data": 4}
START = 1
FORMATS = {"jpg": 1, "jpeg": 1, "png": 2, "webp": 3, "bmp": 4}


class Emu:
    """A `.pb` file for each sample: request, reference images, then clips of a text and its images."""

    def __init__(self, folder: Path, home: Path, source: Source, units: int) -> None:
        self._folder = folder / "proto"

    def add(self, sample: Sample) -> str:
        """Write the sample's file."""
        data = story(sample)
        path = self._folder / sample.key[:2] / f"{sample.key}.pb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return "proto"

    def close(self) -> list[str]:
        """Nothing is open."""
        return []


def story(sample: Sample) -> bytes:
    """The message. Raises NoPlace if something is given after the first part that is made: only the model's
    own words and images follow the request."""
    given = [s for s in sample.segments if not s["loss"]]
    made = sample.segments[len(given) :]
    if not all(s["loss"] for s in made):
        raise NoPlace("emu has no place for requests between parts that are made")
    thought = ""
    if sample.kind == "reasoning":
        thought = "\n".join(first_text(s) for s in made[:-1])
        made = made[-1:]
    clips: list[bytes] = []
    for number, (text, images) in enumerate(_clips(made)):
        pictures = [_meta(sample, image, thought) for image in images]
        time = (text or images[0])["frame_time"]
        segment = _text(SEGMENT["asr"], first_text(text) if text else "")
        segment += b"".join(_bytes(SEGMENT["images"], picture) for picture in pictures)
        head = _text(CLIP["clip_id"], f"clip_{number:04d}") + _time(CLIP["timestamp"], time)
        clips.append(head + _bytes(CLIP["segments"], segment))
    asked = "\n".join(first_text(s) for s in given if s["kind"] == "text")
    return (
        _text(STORY["story_id"], sample.key)
        + b"".join(_bytes(STORY["clips"], clip) for clip in clips)
        + _text(STORY["question"], asked)
        + b"".join(_bytes(STORY["reference_images"], _meta(sample, s)) for s in given if s["kind"] == "image")
    )


def _clips(made: list[Segment]) -> list[tuple[Segment | None, list[Segment]]]:
    """Each text with the images that follow it; images before any text stand in a clip without one."""
    clips: list[tuple[Segment | None, list[Segment]]] = []
    for segment in made:
        if segment["kind"] == "text":
            clips.append((segment, []))
        elif clips:
            clips[-1][1].append(segment)
        else:
            clips.append((None, [segment]))
    return clips


def _meta(sample: Sample, segment: Segment, thought: str = "") -> bytes:
    extension = segment["ref"].rpartition(".")[2].lower()
    numbers = (segment["width"], segment["height"], FORMATS.get(extension, 0))
    sides = b"".join(
        _number(IMAGE[n], v) for n, v in zip(("width", "height", "format"), numbers, strict=True)
    )
    image = sides + _bytes(IMAGE["image_data"], sample.image(segment))
    said = _text(META["chain_of_thought"], thought)
    return _time(META["timestamp"], segment["frame_time"]) + said + _bytes(META["image"], image)


# The wire format of protocol buffers: a key of field number and type, then the value; zero or empty ones are
# left out.


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value) if value else b""


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode()) if value else b""


def _time(field: int, start: float | None) -> bytes:
    """A TimeStamp with its start, in s."""
    if start is None:
        return b""
    return _bytes(field, _varint(START << 3 | 1) + struct.pack("<d", start))
