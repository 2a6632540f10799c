"""Chosen rows to samples: key, sizes, what decided, and a picture."""

from collections.abc import Iterable
from typing import Any

from thresher.operators.views.opener import Opener
from thresher.pipelines.report.numbers import THIN, file_size, number, short
from thresher.pipelines.report.page import Picture, Sample
from thresher.pipelines.report.rows import read_part
from thresher.pipelines.report.thumbnails import PROOF, thumbnail
from thresher.pipelines.view import RunView
from thresher.schemas import Media, Reason
from thresher.schemas.decisions import split_ordinal

LONGEST = 300
"""Characters of a key or message that the page shows."""


class Describer:
    """Reads the chosen rows of one table once, then makes samples of them."""

    def __init__(self, view: RunView, table: str, rows: Iterable[int], measured: set[str]) -> None:
        """`rows`: ordinals; `measured`: columns whose values samples may show."""
        self.columns = view.columns(table)
        wanted = {"media", "bytes", "width", "height", *PROOF, *measured} & {*self.columns, "media"}
        by_part: dict[int, list[int]] = {}
        for row in sorted(set(rows)):
            by_part.setdefault(split_ordinal(row)[0], []).append(row)
        self._rows: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        """Row -> its ledger entry and its values."""
        for part, chosen in by_part.items():
            read = read_part(view, table, part, sorted(wanted))
            index = [split_ordinal(row)[1] for row in chosen]
            ledger, values = read.ledger.take(index).to_pylist(), read.values.take(index).to_pylist()
            self._rows.update(zip(chosen, zip(ledger, values, strict=True), strict=True))

    def sample(self, row: int, measured: str = "") -> Sample:
        """The sample of a row, still without its picture; `measured` names a column to show."""
        ledger, values = self._rows[row]
        size = [f"{number(values['width'])} × {number(values['height'])}"] if values.get("width") else []
        size += [file_size(values["bytes"])] if values.get("bytes") is not None else []
        return Sample(
            id=ledger["id"].hex(),
            key=_shorten(ledger["key"]),
            source=ledger["source"],
            status=ledger["status"],
            step=ledger["step"] or "",
            reason=ledger["reason"] or "",
            message=_shorten(ledger["message"] or ""),
            deciding=self._deciding(ledger),
            facts=" · ".join(size),
            measured=f"{measured} {short(str(values[measured]))}" if measured else "",
        )

    def picture(self, row: int, opener: Opener) -> Picture:
        """The row's picture, or the reason why it has none."""
        ledger, values = self._rows[row]
        if ledger["reason"] == Reason.SUPERSEDED:
            return Picture(why_not="an older version of the file")
        if not any(values.get(column) is not None for column in PROOF):
            return Picture(why_not=ledger["reason"] or "not decoded in this run")
        if not values["media"]:
            return Picture(why_not="has no media")
        return thumbnail(opener, ledger["source"], Media(**values["media"][0]))

    def _deciding(self, ledger: dict[str, Any]) -> str:
        if ledger["status"] != "dropped":
            return ""
        name, value, bound = ledger["column"] or "", ledger["value"] or "", ledger["bound"] or ""
        if ledger["keeper"] and not _numeric(value):
            return f"equal {name}"  # the value is the hash itself
        column = self.columns.get(name)
        unit = f"{THIN}{column.unit}" if column and value and _worded(column.unit) else ""
        what = (
            f"distance {short(value)}{unit} in {name}" if ledger["keeper"] else f"{name} {short(value)}{unit}"
        )
        return ", ".join(part for part in (what.strip(), bound and f"bound {short(bound)}") if part)


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _worded(unit: str) -> bool:
    return len(unit) <= 12 and unit not in ("", "-", "1")


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
