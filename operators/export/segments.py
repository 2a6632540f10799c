"""`KEY.segments.json`: a record's reasoning sample as the ordered parts that a trainer reads."""

import json
import unicodedata
from typing import Any, NamedTuple

from thresher.schemas.sidecar import dumps

MEMBER = ".segments.json"
_COLUMN = "reasoning"


class Described(NamedTuple):
    """What the index says of a record's segments: `kinds` (c cond, x text, T target), `task`, and the
    characters of each text."""

    kinds: str
    task: str
    text_chars: list[tuple[str, int]]


def segments(record: str, image: str, width: int, height: int) -> list[dict[str, Any]] | None:
    """Segments of the record whose JSON member is `record`, or None if it has no sample that passed.

    `image`: name of its image member, without the key; `width` and `height`: of that image, in px.
    """
    sample = _sample(record)
    if sample is None:
        return None
    parts = [_text(sample["prompt"], "cond", "user")]
    parts += [_text(sample[name], "target", "assistant") for name in _targets(sample)]
    if sample["kind"] == "T2TI":
        drawn = {"kind": "image", "role": "target", "ref": image, "loss": True, "turn": "assistant"}
        parts.append(_EMPTY | drawn | {"width": width, "height": height})
    return parts


def written(record: str, image: str, width: int, height: int) -> dict[str, bytes]:
    """The member of that record, or nothing."""
    found = segments(record, image, width, height)
    return {} if found is None else {MEMBER: dumps(found).encode()}


def described(record: str, text: str | None) -> Described:
    """The index's fields for a record with the caption `text`, whether it has segments or not."""
    chars = [("txt", len(text))] if text else []
    sample = _sample(record)
    if sample is None:
        return Described("cT" if text else "T", "image", chars)
    names = ("prompt", *_targets(sample))
    kinds = "c" + "x" * (len(names) - 1) + ("T" if sample["kind"] == "T2TI" else "")
    return Described(
        kinds, sample["kind"].lower(), [*chars, *((name, len(_nfc(sample[name]))) for name in names)]
    )


_EMPTY: dict[str, Any] = {
    "kind": "text",
    "role": "cond",
    "ref": None,
    "variants": {},
    "loss": False,
    "drop": None,
    "frame_time": None,
    "group": None,
    "turn": "none",
    "width": None,
    "height": None,
}


def _text(text: str, role: str, turn: str) -> dict[str, Any]:
    """Text stands in the segment itself; a prompt may be dropped for guidance, what follows is learnt."""
    drop = "text" if role == "cond" else None
    return _EMPTY | {"role": role, "ref": _nfc(text), "loss": role == "target", "drop": drop, "turn": turn}


def _targets(sample: dict[str, Any]) -> tuple[str, ...]:
    return ("refined",) if sample["kind"] == "rewrite" else ("trace", "refined")


def _sample(record: str) -> dict[str, Any] | None:
    """The reasoning sample in a JSON member, if it passed its checks."""
    if f'"{_COLUMN}":"' not in record:
        return None
    held = json.loads(record).get(_COLUMN)
    sample: dict[str, Any] = json.loads(held) if held else {"status": "fail"}
    return sample if sample.get("status", "pass") == "pass" else None


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
