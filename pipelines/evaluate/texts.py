"""What of each record is scored: the texts of one column, with the claims and facts they are judged by."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from thresher.operators.captions.language.words import language_of
from thresher.operators.captions.record import CaptionRecord, Claim, Facts, Text
from thresher.operators.captions.taxonomy import LANGS, WRITTEN, Lang, Level
from thresher.pipelines.captions.columns import caption_columns, record_of
from thresher.pipelines.view import RunView
from thresher.schemas import UsageError
from thresher.schemas.errors import nearest

On = frozenset[tuple[Lang, Level]]
LEVELS: tuple[Level, ...] = ("raw", *WRITTEN)


class Scored(NamedTuple):
    """The texts of one record in one column; `record` holds their facts and claims."""

    record: CaptionRecord
    texts: list[Text]
    similar: dict[str, float]
    """Text id -> cosine of text and picture."""
    made: Sequence[Claim] = ()
    """All claims of the captioner, also those that no text makes any more."""


class Source(NamedTuple):
    """One column that is scored. `record`: the caption column that its texts are in; empty: plain text."""

    name: str
    record: str
    on: On
    """Which of its texts; empty: all that were written."""

    def scored(self, row: Mapping[str, Any], known: CaptionRecord | None) -> Scored | None:
        """The record's texts; None where the cell holds nothing. `known`: whose facts a plain text has."""
        if self.record:
            record = record_of(row[self.record])
            return None if record is None else self._of(record, row)
        text = (row[self.name] or "").strip()
        if not text:
            return None
        lang = language_of(text)
        made = Text(id=self.name, lang=lang, level="raw", split="raw", text=text)
        facts = known.facts if known else Facts()
        similar = {} if row.get(self.similarity()) is None else {self.name: row[self.similarity()]}
        return Scored(CaptionRecord(languages=(lang,), facts=facts, texts=(made,)), [made], similar)

    def similarity(self, text: Text | None = None) -> str:
        """The column that `clip_score` writes for a text."""
        if text is None:
            return "clip_score" if self.name == "text" else f"{self.name}.clip_score"
        return f"{self.record}.{text.lang}.{text.level}.clip_score"

    def _of(self, record: CaptionRecord, row: Mapping[str, Any]) -> Scored:
        texts = [t for t in record.texts if t.text and self._asked(t)]
        similar = {t.id: row[c] for t in texts if row.get(c := self.similarity(t)) is not None}
        people = bool(self.on) and all(level == "raw" for _, level in self.on)
        return Scored(record, texts, similar, () if people else record.claims)

    def _asked(self, text: Text) -> bool:
        return (text.lang, text.level) in self.on if self.on else text.level != "raw"


def source_of(view: RunView, table: str, name: str, on: On, option: str = "--columns") -> Source:
    """How a column is scored. Raises UsageError, at the `option` that names it, where it holds no text."""
    known = caption_columns(view, table)
    described = view.columns(table)
    if name in known:
        return Source(name, name, on)
    of, _, rest = name.partition(".")
    if of in known and (place := parsed(rest)) is not None:
        return Source(name, of, frozenset({place}))
    if name not in described:
        mend = nearest(name, sorted(described)) or f"Captions are in {', '.join(known) or 'no column yet'}"
        raise UsageError(f"the run has no column {name!r}", option, mend)
    if not pa.types.is_string(described[name].dtype):
        what = f"the column {name!r} holds no text, but {described[name].dtype}"
        raise UsageError(what, option, "Name a caption column, or a column of texts")
    return Source(name, "", frozenset())


def parsed(place: str) -> tuple[Lang, Level] | None:
    """`en.short` as language and level."""
    lang, _, level = place.partition(".")
    return (lang, level) if lang in LANGS and level in LEVELS else None


def parsed_on(given: Collection[str]) -> On:
    """The texts that `--on` names. Raises UsageError."""
    places = {one: parsed(one) for one in given}
    if wrong := [one for one, place in places.items() if place is None]:
        mend = "Name a language and a length, such as en.short or zh.long"
        raise UsageError(f"{wrong[0]!r} is no text of a caption", "--on", mend)
    return frozenset(place for place in places.values() if place is not None)
