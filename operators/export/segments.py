"""`KEY.segments.json` of every record, and what the index says of it, column by column."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from thresher.operators.export.images import Target
from thresher.operators.export.pictures import Picture
from thresher.schemas import Column
from thresher.schemas.segments import Segment, characters_of, image_segment, kinds_of, text_segment
from thresher.schemas.sidecar import dumps

REASONING = "reasoning"
_CAPTION = re.compile(r"(?P<record>.+)\.(en|zh)\.\w+")


def caption_columns(measured: Mapping[str, Column]) -> list[str]:
    """The columns of captions, such as `caption.en.short`: null where a text did not pass its checks."""
    texts = sorted(name for name, column in measured.items() if column.dtype == pa.string())
    found = ((name, _CAPTION.fullmatch(name)) for name in texts)
    return [name for name, parts in found if parts and parts["record"] in measured]


def described(
    table: pa.Table, text: str, measured: Mapping[str, Column], goals: Sequence[Target]
) -> dict[str, list[Any]]:
    """`segments` (the member's text), `kinds`, `task` and `text_chars` of each row of `table`.

    `text`: column of `KEY.txt`; `goals`: what becomes of each image.
    """
    names = caption_columns(measured)
    captions = zip(*(table[name].to_pylist() for name in names), strict=True) if names else [()] * len(table)
    samples = table[REASONING].to_pylist() if REASONING in measured else [None] * len(table)
    made: dict[str, list[Any]] = {"segments": [], "kinds": [], "task": [], "text_chars": []}
    for own, passed, held, goal in zip(table[text].to_pylist(), captions, samples, goals, strict=True):
        sample = _passed(held)
        variants = {name: one for name, one in zip(names, passed, strict=True) if one}
        parts = _reasoning(sample, goal) if sample else _plain(own, variants, goal)
        made["segments"].append(dumps(parts))
        made["kinds"].append(kinds_of(parts))
        made["task"].append(sample["kind"].lower() if sample else "image")
        made["text_chars"].append(list(characters_of(parts).items()))
    return made


def of_documents(table: pa.Table, pictures: Sequence[Sequence[Picture]]) -> dict[str, list[Any]]:
    """The same of rows of documents: plain texts and what assistants say are learnt, the rest is shown."""
    made: dict[str, list[Any]] = {"segments": [], "kinds": [], "task": [], "text_chars": []}
    forms, items = table["form"].to_pylist(), table["items"].to_pylist()
    for form, held, own in zip(forms, items, pictures, strict=True):
        parts = [_part(item, form, own) for item in held]
        made["segments"].append(dumps(parts))
        made["kinds"].append(kinds_of(parts))
        made["task"].append(form)
        made["text_chars"].append(list(characters_of(parts).items()))
    return made


def _part(item: Mapping[str, Any], form: str, pictures: Sequence[Picture]) -> Segment:
    if item["image"] is not None:
        picture = pictures[item["image"]]
        return image_segment(picture["name"], "cond", picture["width"], picture["height"], turn=item["turn"])
    learnt = form == "text" or item["turn"] == "assistant"
    return text_segment(item["text"], "target" if learnt else "cond", turn=item["turn"])


def _plain(text: str | None, variants: dict[str, str], goal: Target) -> list[Segment]:
    """The picture, after its texts if it has any."""
    told = [text_segment(text or None, "cond", variants=variants, drop="text")] if text or variants else []
    return [*told, image_segment(f".{goal.extension}", "target", goal.width, goal.height)]


def _reasoning(sample: dict[str, Any], goal: Target) -> list[Segment]:
    """A request, what is thought and said of it, and for T2TI the picture."""
    learnt = ("refined",) if sample["kind"] == "rewrite" else ("trace", "refined")
    parts = [text_segment(sample["prompt"], "cond", drop="text", turn="user")]
    parts += [text_segment(sample[name], "target", turn="assistant") for name in learnt]
    if sample["kind"] == "T2TI":
        size = goal.width, goal.height
        parts.append(image_segment(f".{goal.extension}", "target", *size, turn="assistant"))
    return parts


def _passed(held: str | None) -> dict[str, Any] | None:
    """A reasoning sample that passed its checks."""
    sample: dict[str, Any] = json.loads(held) if held else {"status": "fail"}
    return sample if sample.get("status", "pass") == "pass" else None
