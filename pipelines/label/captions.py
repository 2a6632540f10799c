"""What is shown when captions are rated: one text of each record and the claims in it."""

import re
from typing import Any, NamedTuple

import numpy as np

from thresher.pipelines.calibrate.records import Records
from thresher.pipelines.captions.columns import has_all, sampled
from thresher.pipelines.evaluate.measures import claims_of
from thresher.pipelines.evaluate.texts import Source, source_of
from thresher.pipelines.view import RunView
from thresher.schemas import UsageError

_PLAIN = re.compile(r"[\w.-]{1,40}")
"""Ids of claims that can stand in a CSV line; others cannot be marked."""


class Shown(NamedTuple):
    """One text. Who wrote it and what a verifier said of it are not shown: they would sway."""

    text: str
    lang: str
    claims: list[dict[str, str]]
    """`id`, `text` of each that can be marked."""


def to_rate(view: RunView, table: str, column: str, most: int) -> tuple[Records, dict[bytes, Shown]]:
    """The records that have such a text, by a hash, and what is shown of each. Raises UsageError."""
    source = source_of(view, table, column, frozenset(), "--caption")
    if source.record and len(source.on) != 1:
        mend = f"Name the column of one text, such as {column}.en.short"
        raise UsageError(f"{column!r} has texts of several lengths and languages", "--caption", mend)
    head = ["source", "key", "media"]
    rows, _ = sampled(view, table, [source.record or column], head, has_all, most, view.seed)
    found: dict[bytes, Shown] = {}
    kept: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: row.id):
        if row.values["media"] and (shown := _shown(source, row.values)):
            found[row.id] = shown
            kept.append({"id": row.id} | {name: row.values[name] for name in head})
    if not kept:
        raise UsageError(f"no record of {table} has a text in {column!r}", str(view.folder))
    none = np.zeros((len(kept), 0))
    return Records(table, kept, none, np.zeros(len(kept), np.uint64), ""), found


def _shown(source: Source, values: dict[str, Any]) -> Shown | None:
    scored = source.scored(values, None)
    if scored is None or not scored.texts:
        return None
    text = scored.texts[0]
    claims = [
        {"id": claim.id, "text": claim.text.get(text.lang) or next(iter(claim.text.values()), claim.id)}
        for claim in claims_of(scored)
        if _PLAIN.fullmatch(claim.id)
    ]
    return Shown(text.text, text.lang, claims)
