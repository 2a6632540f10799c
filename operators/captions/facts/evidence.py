"""What columns that were measured before say of a picture, as facts that captions can rest on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from thresher.operators.captions.checks.pii import masked
from thresher.operators.captions.facts.file_names import is_name, is_url, name_words
from thresher.operators.captions.language.words import language_of
from thresher.operators.captions.record import Facts, Measured, Meta, OcrLine, Thing
from thresher.operators.captions.taxonomy import ImageType
from thresher.schemas import Record

SCALARS = (
    "width", "height", "is_gray", "luma_mean", "dynamic_range", "clip_low", "clip_high", "colorfulness",
    "sharpness", "uniform_tiles", "alpha_share", "collage", "text_area", "faces", "watermark_p",
    "camera_exif", "aigc_tier", "generator", "digital_source_type", "synthetic",
)  # fmt: skip
"""Columns of one number, word or flag, taken as they are."""
READABLE = (*SCALARS, "letterbox", "palette", "palette_grid", "ocr", "objects", "text", "meta")
"""Columns that `evidence` understands; others are left aside. `NAME_p` of `classify` has no known meaning."""

WATERMARK = 0.8
"""`watermark_p` from which a watermark counts as there (LAION's bound, images.md 7)."""
OBJECT = 0.5
"""Score from which a detected thing is a fact. Ours; captions from facts alone ask for more."""
OVERLAP = 0.5
"""Intersection over union from which two boxes of one label are one thing."""
LONGEST = 1000
"""Characters kept of a text that came with the picture."""
_CUTOUT = ("opaque", "centre")
"""Labels of `ground` without a model, which name nothing."""
_KEYS: dict[str, Literal["alt_text", "title", "tags", "page_text"]] = {
    "alt_text": "alt_text", "alt": "alt_text", "caption": "alt_text", "description": "alt_text",
    "title": "title", "page_title": "title", "headline": "title", "tags": "tags", "keywords": "tags",
    "page_text": "page_text",
}  # fmt: skip
"""Keys of a JSON sidecar, by what they hold."""
_DECLARED: dict[str, ImageType] = {
    "digitalCapture": "photo", "computationalCapture": "photo", "negativeFilm": "photo",
    "positiveFilm": "photo", "screenCapture": "screenshot", "digitalArt": "illustration",
}  # fmt: skip


def evidence(record: Record, columns: Mapping[str, Any]) -> Facts:
    """The facts of a record. `columns`: name -> value as Arrow gives it to Python; one that is missing or
    null says nothing.

    Ids are `o1...` for lines of text (height from `width` and `height`), `m1...` for texts that came with the
    picture, `b1...` for things, `v1...` for measured values. Lines keep their confidence, low ones too; texts
    that came with the picture are what somebody said, not what is seen.
    """
    size = columns.get("width"), columns.get("height")
    lines = columns.get("ocr")
    read = [_line(i, line, size) for i, line in enumerate(lines or (), 1)]
    mark = columns.get("watermark_p")
    return Facts(
        ocr=tuple(read),
        meta=tuple(Meta(id=f"m{i}", **held) for i, held in enumerate(_metas(record, columns), 1)),
        objects=tuple(_things(columns.get("objects") or ())),
        measured=tuple(_measured(columns)),
        image_type=_image_type(columns),
        watermarks=("watermark",) if mark is not None and mark >= WATERMARK else (),
        ocr_read=lines is not None,
    )


def _measured(columns: Mapping[str, Any]) -> list[Measured]:
    """Numbers are kept to four digits: more is below what was measured."""
    values = {name: columns.get(name) for name in SCALARS}
    if columns.get("letterbox") is not None:
        values["letterbox"] = " ".join(map(str, columns["letterbox"]))
    if columns.get("palette"):
        values["palette"] = ", ".join(f"{c['name']} {c['share']:.4g}" for c in columns["palette"])
    if columns.get("palette_grid"):
        values["palette_grid"] = " ".join(columns["palette_grid"])
    if columns.get("ocr") is not None:
        values["ocr"] = len(columns["ocr"])
    held = [(name, float(f"{v:.4g}") if isinstance(v, float) else v) for name, v in values.items()]
    known = [(name, value) for name, value in held if value is not None]
    return [Measured(id=f"v{i}", column=name, value=value) for i, (name, value) in enumerate(known, 1)]


def _line(place: int, line: Mapping[str, Any], size: tuple[int | None, int | None]) -> OcrLine:
    box = tuple(line["box"]) if line.get("box") else None
    height = None
    if box is not None and size[0] and size[1]:
        across, down = (box[2] - box[0]) * size[0], (box[3] - box[1]) * size[1]
        height = round(min(across, down) / min(size[0], size[1]), 4)  # a line may run downwards
    return OcrLine(
        id=f"o{place}", text=line["text"], lang=line.get("lang"), script=line.get("script"), box=box,
        conf=line["conf"], height=height,
    )  # fmt: skip


def _things(objects: Sequence[Mapping[str, Any]]) -> Iterator[Thing]:
    """Things of one label together; boxes that overlap a surer one are the same thing."""
    kept: dict[str, list[Mapping[str, Any]]] = {}
    for thing in sorted(objects, key=lambda o: (-(o.get("score") or 0), o["label"], *o["box"])):
        label = " ".join(thing["label"].casefold().split())
        if not label or label in _CUTOUT or (thing.get("score") or 0) < OBJECT:
            continue
        if all(_overlap(thing["box"], other["box"]) < OVERLAP for other in kept.setdefault(label, [])):
            kept[label].append(thing)
    for place, (label, things) in enumerate(kept.items(), 1):
        boxes = tuple(tuple(thing["box"]) for thing in things)
        p = min(thing["score"] for thing in things)
        yield Thing(id=f"b{place}", label=label, count=len(things), boxes=boxes, p=p)


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union."""
    width, height = (max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1))
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - width * height
    return width * height / union if union > 0 else 1.0


def _metas(record: Record, columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Text and JSON beside the picture, each once and none that is but a name; then the words of its own."""
    said = [("alt_text", columns.get("text") or record.text)]
    said += _sidecar(columns.get("meta") or record.meta)
    seen = set()
    for kind, text in said:
        kept = plain(text) if isinstance(text, str) else ""
        if kept and kept not in seen and not is_name(kept):
            seen.add(kept)
            yield {"kind": "url" if is_url(kept) else kind, "text": kept}
    words = name_words(record.key)
    if words:
        yield {"kind": "file_name", "text": words}


def plain(text: str) -> str:
    """A text that came with the picture, as facts hold it and models are told it: no personal data."""
    return masked(" ".join(text.split())[:LONGEST], language_of(text))


def _sidecar(text: str | None) -> list[tuple[str, Any]]:
    try:
        held = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return []  # ingest has told of it
    pairs = (
        [(_KEYS.get(key.casefold()), value) for key, value in held.items()] if isinstance(held, dict) else []
    )
    return [(kind, _joined(value)) for kind, value in pairs if kind]


def _joined(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _image_type(columns: Mapping[str, Any]) -> ImageType | None:
    declared = _DECLARED.get(columns.get("digital_source_type") or "")
    if columns.get("aigc_tier") or columns.get("synthetic"):
        return None
    return declared or ("photo" if columns.get("camera_exif") else None)
