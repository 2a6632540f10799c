"""Catalog rows of one scan."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from thresher.operators.ingest.files import printable
from thresher.operators.ingest.source import Source
from thresher.schemas import Media, Reason
from thresher.schemas.ids import record_id
from thresher.schemas.records import catalog_schema
from thresher.schemas.uris import split_fragment, unquote_path

CHUNK = 8192
"""Rows that wait as Python objects."""


class Unit(NamedTuple):
    """One row of `units.UNITS`."""

    uri: str
    size: int
    mtime_ns: int | None
    etag: str

    @property
    def path(self) -> bytes:
        """Raw path relative to the root."""
        return unquote_path(split_fragment(self.uri)[0])


class Chunks:
    """Rows that turn into Arrow batches of `CHUNK`."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._batches: list[pa.RecordBatch] = []
        self._waiting: list[dict[str, Any]] = []
        self.rows = 0

    def add(self, **row: Any) -> None:
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) >= CHUNK:
            self._flush()

    def take(self) -> pa.Table:
        """All rows so far; starts afresh."""
        self._flush()
        batches, self._batches, self.rows = self._batches, [], 0
        return pa.Table.from_batches(batches, self._schema)

    def _flush(self) -> None:
        self._batches.append(pa.RecordBatch.from_pylist(self._waiting, self._schema))
        self._waiting = []


class Rows:
    """Grows a catalog table. Keys are unique in one container: a second equal one gets `~2`."""

    def __init__(self, source: Source, alive: Callable[[], None] = lambda: None) -> None:
        """`alive` is called as often as something has been read, so that its caller can tell a hang."""
        self.alive = alive
        self._source, params = source, source.params
        self._same = {"kind": params.record, "source": source.name, "parents": [], "version": 0}
        self._same |= {"synthetic": params.synthetic, "licence": params.licence}
        self._used: dict[bytes, int] = {}
        """Key -> how often it was asked for."""
        self._rows = Chunks(catalog_schema(params.record))

    def add(
        self, unit: Unit, key: bytes, media: Sequence[Media] = (), notes: Sequence[str] = (), **more: Any
    ) -> None:
        """One record; `more` holds the fields of its kind (`text`, `meta`, `items`) and its `size` in bytes,
        or a `reason` why it failed."""
        unique = self._unique(key)
        if unique != key:
            note = f"the key {printable(key)!r} occurs again: entered as {printable(unique)!r}"
            notes = [*notes, note]
        self._rows.add(
            id=record_id(self._source.name, unique),
            key=printable(unique),
            media=[medium._asdict() for medium in media],
            mtime_ns=unit.mtime_ns,
            etag=unit.etag,
            message="; ".join(notes) or None,
            **self._same,
            **more,
        )
        self.alive()

    def fail(self, unit: Unit, key: bytes, reason: Reason, message: str) -> None:
        """A row for something that could not be entered."""
        self.add(unit, key, notes=[message], reason=str(reason))

    def fail_unread(self, unit: Unit, error: OSError) -> None:
        """A row for a unit that the system does not let us read."""
        gone = isinstance(error, FileNotFoundError)
        reason = Reason.MISSING_SOURCE if gone else Reason.UNREADABLE
        self.fail(unit, unit.path, reason, f"{unit.uri}: {error.strerror or error}")

    def table(self) -> pa.Table:
        """The rows as `catalog_schema` of the source's records, version 0."""
        return self._rows.take()

    def _unique(self, key: bytes) -> bytes:
        unique = key
        while unique in self._used:
            self._used[key] += 1
            unique = b"%s~%d" % (key, self._used[key])
        self._used[unique] = 1
        return unique
