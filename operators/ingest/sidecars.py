"""Text and JSON that lie beside a medium."""

import json
from typing import Any, NoReturn

MAX_SIDECAR_BYTES = 4 << 20
"""A sidecar above 4 MiB is left aside, with a message."""


def decode_text(raw: bytes) -> str:
    """A caption: UTF-8 with or without a byte order mark; bad bytes become U+FFFD."""
    return raw.decode("utf-8-sig", "replace")


def decode_meta(raw: bytes) -> str:
    """The text of a JSON document, unchanged. Raises ValueError saying what is wrong with it."""
    try:
        text = raw.decode("utf-8-sig")
        json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


class Sidecars:
    """Fills a record's `text` and `meta` and notes what is wrong with its sidecars."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.meta: str | None = None
        self.notes: list[str] = []

    def offer(self, kind: str, name: str, raw: bytes) -> bool:
        """Take the sidecar `name` of kind txt, caption or json; False if it is left aside."""
        if len(raw) > MAX_SIDECAR_BYTES:
            return self.leave(name, f"has more than {MAX_SIDECAR_BYTES} bytes")
        if kind == "json":
            return self._take_meta(name, raw)
        if self.text is not None:
            return self.leave(name, "is a second caption")
        self.text = decode_text(raw)
        return True

    def leave(self, name: str, why: str) -> bool:
        """Note why a sidecar is not taken."""
        self.notes.append(f"{name} {why}")
        return False

    def _take_meta(self, name: str, raw: bytes) -> bool:
        if self.meta is not None:
            return self.leave(name, "is a second JSON sidecar")
        try:
            self.meta = decode_meta(raw)
        except ValueError as error:
            return self.leave(name, f"is not valid JSON: {error}")
        return True

    def fields(self) -> dict[str, Any]:
        """Arguments of `Rows.add`."""
        return {"text": self.text, "meta": self.meta, "notes": self.notes}
