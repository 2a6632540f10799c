"""`KEY.segments.json`: a sample as the ordered list of texts and images that a trainer reads.

One contract for every kind of sample: image and caption, edit, chain, several references, interleaved
document, reasoning, dialogue. The trainer, not the shard, turns a role into tokens.
"""

import json
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

SEGMENTS = ".segments.json"
"""Name of the member, without the key."""
KINDS = ("text", "image")
ROLES = ("cond", "target", "both")
TURNS = ("user", "assistant", "none")
PLAIN_TEXT = "text"
"""Name of the version of a text that stands in `ref`, beside those in `variants`."""

_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2")

Segment = dict[str, Any]


def text_segment(
    ref: str | None,
    role: Literal["cond", "target"],
    *,
    variants: Mapping[str, str] | None = None,
    drop: str | None = None,
    turn: Literal["user", "assistant", "none"] = "none",
    frame_time: float | None = None,
) -> Segment:
    """A text: `ref` is the text itself, `variants` other texts that may stand for it, by name.

    A target is learnt. `drop` names the conditions that are left out together, for guidance.
    """
    named = {name: _nfc(text) for name, text in (variants or {}).items()}
    told = {"ref": None if ref is None else _nfc(ref), "variants": named}
    return _segment("text", role, told, drop, turn, frame_time)


def image_segment(
    ref: str,
    role: Literal["cond", "target", "both"],
    width: int,
    height: int,
    *,
    drop: str | None = None,
    turn: Literal["user", "assistant", "none"] = "none",
    frame_time: float | None = None,
    group: int | None = None,
) -> Segment:
    """An image: `ref` names the member without the key, e.g. `.jpg`; `width` and `height` in px.

    A target is made, `both` is made and then seen by what follows. Targets of one `group` share their noise.
    """
    told = {"ref": ref, "width": width, "height": height, "group": group}
    return _segment("image", role, told, drop, turn, frame_time)


def segments_of(
    members: Collection[str], read: Callable[[str], Any], size: tuple[int, int] = (0, 0)
) -> list[Segment]:
    """Segments of a record with those members; one without a list of them is an image and its caption.

    `size`: of that image, in px. Raises ValueError where the list cannot be read.
    """
    if SEGMENTS in members:
        told: list[Segment] = json.loads(bytes(read(SEGMENTS)))
        return told
    image = next((name for name in members if name in _IMAGES), None)
    text = bytes(read(".txt")).decode() if ".txt" in members else ""
    segments = [text_segment(text, "cond", drop="text")] if text else []
    return [*segments, image_segment(image, "target", *size)] if image else []


def texts_of(segment: Mapping[str, Any]) -> dict[str, str]:
    """The versions of a text segment by name; `PLAIN_TEXT` is the one that stands in `ref`."""
    own = {PLAIN_TEXT: segment["ref"]} if segment.get("ref") else {}
    return own | (segment.get("variants") or {})


def kinds_of(segments: Sequence[Mapping[str, Any]]) -> str:
    """A letter for each segment: text c (cond) or x (learnt), image i (cond), T (target) or B (both)."""
    texts, images = {"cond": "c", "target": "x"}, {"cond": "i", "target": "T", "both": "B"}
    return "".join((texts if s["kind"] == "text" else images)[s["role"]] for s in segments)


def characters_of(segments: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Characters of every version of every text; from the second text on its place follows: `text.2`."""
    texts = [texts_of(s) for s in segments if s["kind"] == "text"]
    return {
        name if place == 1 else f"{name}.{place}": len(text)
        for place, held in enumerate(texts, 1)
        for name, text in held.items()
    }


def problems(segments: Sequence[Mapping[str, Any]], members: Collection[str]) -> list[str]:
    """What is wrong with a sample's segments, in words; `members`: names in its record, without the key."""
    found = []
    for number, s in enumerate(segments, 1):
        for name, known in (("kind", KINDS), ("role", ROLES), ("turn", TURNS)):
            if s.get(name) not in known:
                found.append(
                    f"segment {number} has the {name} {s.get(name)!r}, not one of {', '.join(known)}"
                )
        if s.get("kind") == "image":
            found += _image_problems(number, s, members)
        elif s.get("kind") == "text" and not any(texts_of(s).values()):
            found.append(f"segment {number} is a text without words")
    if not any(s.get("loss") for s in segments):
        found.append("no segment is learnt")
    return found


def _image_problems(number: int, s: Mapping[str, Any], members: Collection[str]) -> list[str]:
    found = []
    if s.get("ref") not in members:
        found.append(f"segment {number} names {s.get('ref')!r}, which is not in the record")
    if not all(isinstance(s.get(side), int) and s[side] > 0 for side in ("width", "height")):
        found.append(f"segment {number} is an image without width and height")
    return found


def _segment(
    kind: str, role: str, told: Mapping[str, Any], drop: str | None, turn: str, frame_time: float | None
) -> Segment:
    empty: Segment = {"ref": None, "variants": {}, "group": None, "width": None, "height": None}
    common = {"kind": kind, "role": role, "loss": role != "cond", "drop": drop, "turn": turn}
    return empty | dict(told) | common | {"frame_time": frame_time}


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
