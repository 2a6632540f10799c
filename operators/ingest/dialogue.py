"""A row of a text corpus or of a set of conversations becomes texts and images in their order.

Forms: `{"text": ...}`; LLaVA and ShareGPT (`conversations` of `from` and `value`); chat messages (`messages`
of `role` and `content`, a text or a list of parts). `<image>` in the words of a user stands for the row's
next image.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from thresher.schemas import Reason
from thresher.schemas.records import Item

TEXT_NAMES = ("text", "content")
TURN_NAMES = ("conversations", "messages", "conversation")
"""Fields that are taken when the recipe names none: the first with a value, conversations first."""

PLACE = "<image>"
SPEAKERS = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "system": "none",
}
"""Who says a turn, by the words of LLaVA, ShareGPT and chat templates."""


class Fault(Exception):
    """Why a row is no document."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(message)


class Document(NamedTuple):
    """What a row says: `form` is `text` or `dialogue`, `images` what it names, as `Item.image` counts."""

    form: str
    items: list[Item]
    images: list[Any]


def find_field(row: Mapping[str, Any], turns: Sequence[str], texts: Sequence[str]) -> tuple[str, bool]:
    """The first of those fields that has a value, and whether it is one of `turns`.

    Raises Fault: bad_columns where the row has none of them, empty_file where all are null.
    """
    for names, spoken in ((turns, True), (texts, False)):
        for name in names:
            if row.get(name) is not None:
                return name, spoken
    wanted = [*turns, *texts]
    if there := [name for name in wanted if name in row]:
        raise Fault(Reason.EMPTY_FILE, f"{there[0]!r} is null")
    fields = f"its fields are {', '.join(row)}" if row else "it has no fields"
    raise Fault(Reason.BAD_COLUMNS, f"no field {' or '.join(wanted)}: {fields}"[:300])


def read_document(value: Any, name: str, spoken: bool, images: Sequence[Any]) -> Document:
    """The document in the field `name`; `images`: those that the row names beside it.

    Raises Fault: bad_columns, empty_file, corrupt.
    """
    if spoken:
        return _dialogue(value, name, images)
    if images:
        what = "images beside a plain text have no place in it; captions come in by `parquet`"
        raise Fault(Reason.BAD_COLUMNS, what)
    return Document("text", [Item("text", "none", _words(value, repr(name)))], [])


def _dialogue(said: Any, name: str, images: Sequence[Any]) -> Document:
    if not isinstance(said, list) or not said:
        raise Fault(Reason.BAD_COLUMNS, f"{name!r} is {_kind(said)}, not a list of turns")
    items: list[Item] = []
    named, used = list(images), 0
    for number, turn in enumerate(said, 1):
        speaker, content = _turn(turn, number)
        pieces = list(_pieces(content, speaker, number))
        if not pieces:
            raise Fault(Reason.EMPTY_FILE, f"turn {number} says nothing")
        for text, image in pieces:
            if text is not None:
                items.append(Item("text", speaker, text))
            elif image is not None:
                named.append(image)
                items.append(Item("image", speaker, None, len(named) - 1))
            else:
                items.append(Item("image", speaker, None, used))
                used += 1
    if used not in (0, len(images)):
        raise Fault(
            Reason.BAD_COLUMNS, f"{PLACE} stands in {used} places, and the row names {len(images)} images"
        )
    if not used:  # images that the words do not place stand before them
        items = [Item("image", "user", None, place) for place in range(len(images))] + items
    if not any(item.turn == "assistant" for item in items):
        raise Fault(Reason.BAD_COLUMNS, "no turn is an assistant's, so there is nothing to learn")
    return Document("dialogue", items, named)


def _turn(turn: Any, number: int) -> tuple[str, Any]:
    """(speaker, content) of a turn."""
    if isinstance(turn, dict):
        for speaker, content in (("from", "value"), ("role", "content")):
            if speaker in turn and content in turn:
                known = SPEAKERS.get(str(turn[speaker]).lower())
                if known is None:
                    said = f"turn {number} is by {turn[speaker]!r}, not one of {', '.join(SPEAKERS)}"
                    raise Fault(Reason.BAD_COLUMNS, said[:300])
                return known, turn[content]
    raise Fault(Reason.BAD_COLUMNS, f"turn {number} has neither `from` and `value` nor `role` and `content`")


def _pieces(content: Any, speaker: str, number: int) -> Iterator[tuple[str | None, Any]]:
    """(text, None) for words, (None, None) for the row's next image, (None, name) for one named here."""
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, dict) and part.get("type") == "image":
            if speaker == "assistant":
                raise Fault(Reason.BAD_COLUMNS, f"turn {number}: an assistant's image is not read")
            yield None, part.get("image") or part.get("path")
            continue
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part
        if not isinstance(text, str):
            raise Fault(Reason.BAD_COLUMNS, f"turn {number} holds {_kind(text)}, neither text nor image")
        pieces = text.split(PLACE) if speaker == "user" else [text]
        for place, piece in enumerate(pieces):
            if place:
                yield None, None
            if piece.strip():
                words = _words(piece, f"turn {number}")
                yield (words.strip() if len(pieces) > 1 else words), None


def _words(text: Any, what: str) -> str:
    """A text in NFC."""
    if not isinstance(text, str) and text is not None:
        raise Fault(Reason.BAD_COLUMNS, f"{what} is {_kind(text)}, not a text")
    if text is None or not text.strip():
        raise Fault(Reason.EMPTY_FILE, f"{what} is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Fault(Reason.CORRUPT, f"{what} holds half a character at {error.start}") from error
    return unicodedata.normalize("NFC", text)


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, dict):
        return f"an object with {', '.join(map(str, value)) or 'no fields'}"[:200]
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "null" if value is None else f"the {type(value).__name__} {value!r}"[:200]
