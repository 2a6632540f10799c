"""How Energon makes a sample of a record: copied into `.nv-meta`, and run by Energon there."""

from typing import Any


def interleaved(raw: dict[str, Any]) -> dict[str, Any]:
    """An InterleavedSample: texts and images in their order."""
    return {"sequence": [_part(raw, segment) for segment in raw["segments.json"]]}


def vqa(raw: dict[str, Any]) -> dict[str, Any]:
    """A VQASample: the image, what is asked, and the answer."""
    image = next(s for s in raw["segments.json"] if s["kind"] == "image")
    asked, answer = (_part(raw, s) for s in raw["segments.json"] if s["kind"] == "text")
    return {"image": _part(raw, image), "context": asked, "answers": [answer]}


def part_filter(part: str) -> bool:
    """Whether a member is read: neither the record's columns nor its plain caption."""
    return part not in ("json", "txt")


def _part(raw: dict[str, Any], segment: dict[str, Any]) -> Any:
    if segment["kind"] == "image":
        return raw[segment["ref"].lstrip(".")]
    return segment["ref"] or next(iter(segment["variants"].values()))
