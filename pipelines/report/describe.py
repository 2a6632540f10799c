"""Chosen rows to samples: key, sizes, what decided, and a picture."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from thresher.operators.base import View
from thresher.operators.views import open_views
from thresher.operators.views.opener import MediaError, Opener
from thresher.pipelines.report.numbers import file_size, measured, number
from thresher.pipelines.report.rows import read_part
from thresher.pipelines.view import Bound, RunView
from thresher.schemas import Media, Reason
from thresher.schemas.decisions import split_ordinal

LONGEST = 300
"""Characters of a key or message that the page shows."""

EXCERPT = 160
"""Characters of a document that stand where its picture would."""

PROOF = ("width", "widths", "px_sha", "phash256")
"""Columns that only a whole decode fills. What could crash a decoder has done so before, in a guarded
worker, and has none of them: the report does not open it."""

LONG_SIDE = 224
"""Pixels of the long side at most; shown at about 160 CSS pixels, so that it stays sharp on dense screens."""

MAX_ASPECT = 4
"""Longer strips are cut to their centre, else their short side would be a few pixels."""

QUALITY = 70
RGB = View("rgb", 512)


@dataclass
class Sample:
    """One record in a gallery."""

    id: str
    key: str
    status: str
    reason: str
    message: str
    deciding: str
    """Column, value and bound that decided, or the value that places it next to a bound."""
    facts: str
    """Pixels or characters, and file size."""
    words: str
    """Of a document: how it begins."""
    url: str = ""
    """The picture as a data URL."""
    why_not: str = ""
    """Why there is none."""


class Describer:
    """Reads the chosen rows of one table once, then makes samples of them."""

    def __init__(self, view: RunView, table: str, rows: Iterable[int], shown: set[str]) -> None:
        """`rows`: ordinals; `shown`: columns whose values samples may show."""
        self.columns = view.columns(table)
        wanted = {"media", "items", "bytes", "width", "height", "n_chars", *PROOF, *shown} & {*self.columns}
        by_part: dict[int, list[int]] = {}
        for row in sorted(set(rows)):
            by_part.setdefault(split_ordinal(row)[0], []).append(row)
        self._rows: dict[int, dict[str, Any]] = {}
        """Row -> its values and its ledger entry."""
        for part, chosen in by_part.items():
            index = [split_ordinal(row)[1] for row in chosen]
            read = (t.take(index).to_pylist() for t in read_part(view, table, part, sorted(wanted)))
            for row, entry, more in zip(chosen, *read, strict=True):
                self._rows[row] = {"values": more, **entry}

    def sample(self, row: int, beside: Bound | None = None) -> Sample:
        """The sample of a row, still without its picture; `beside` the bound whose column it shows."""
        entry = self._rows[row]
        values = entry["values"]
        size = [f"{number(values['width'])} × {number(values['height'])}"] if values.get("width") else []
        size += [f"{number(values['n_chars'])} characters"] if values.get("n_chars") else []
        size += [file_size(values["bytes"])] if values.get("bytes") is not None else []
        deciding = self._deciding(entry)
        if beside and values[beside.column] is not None:
            unit = self.columns[beside.column].unit
            deciding = f"{beside.column} {measured(str(values[beside.column]), unit, str(beside.value))}"
        return Sample(
            id=entry["id"].hex(),
            key=_shorten(entry["key"]),
            status=entry["status"],
            reason=entry["reason"] or "",
            message=_shorten(entry["message"] or ""),
            deciding=deciding,
            facts=" · ".join(size),
            words=_beginning(values.get("items") or []),
        )

    def picture(self, row: int, opener: Opener) -> tuple[str, str]:
        """The row's picture as a data URL and "", or "" and the reason why it has none."""
        entry = self._rows[row]
        values = entry["values"]
        if entry["reason"] == Reason.SUPERSEDED:
            return "", "an older version of the file"
        if not any(values.get(column) is not None for column in PROOF) or not values["media"]:
            return "", entry["reason"] or "not decoded in this run"
        try:
            return _thumbnail(opener, entry["source"], Media(**values["media"][0])), ""
        except MediaError as error:
            return "", f"{error.reason}: {error.message}"

    def _deciding(self, entry: dict[str, Any]) -> str:
        if entry["status"] != "dropped":
            return ""
        name, value, bound = (entry[field] or "" for field in ("column", "value", "bound"))
        if entry["keeper"] and bound == "equal":
            return f"equal {name}"  # the value is the hash itself
        unit = self.columns[name].unit if name in self.columns else ""
        what = "distance" if entry["keeper"] else name
        if not bound:
            return f"{what} {measured(value, unit)}".strip()
        limit = f"bound {measured(bound, unit)}".replace(" ", "\u00a0")
        return f"{what} {measured(value, unit if unit == 'share' else '', bound)}, {limit}"


def _beginning(items: Sequence[Mapping[str, Any]]) -> str:
    words = " ".join(item["text"] for item in items if item["text"] is not None)
    return words if len(words) <= EXCERPT else f"{words[:EXCERPT]} …"


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _thumbnail(opener: Opener, source: str, medium: Media) -> str:
    """The picture of one medium as a WebP data URL. Raises MediaError when it cannot be read any more."""
    pixels: NDArray[np.uint8] = open_views(opener.read(source, medium), [RGB])[RGB]
    h, w = pixels.shape[:2]
    top, left = max(0, h - MAX_ASPECT * w) // 2, max(0, w - MAX_ASPECT * h) // 2
    pixels = pixels[top : h - top, left : w - left]
    h, w = pixels.shape[:2]
    scale = min(1.0, LONG_SIDE / max(h, w))
    size = max(1, round(w * scale)), max(1, round(h * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
