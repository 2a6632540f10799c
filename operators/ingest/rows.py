"""Catalog rows of one scan, collected column by column."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from thresher.operators.ingest.files import printable
from thresher.operators.ingest.source import Source
from thresher.schemas import Media, Reason
from thresher.schemas.ids import record_id
from thresher.schemas.records import MEDIA, catalog_schema
from thresher.schemas.uris import split_fragment, unquote_path

SCHEMA = catalog_schema("image")


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


class Rows:
    """Grows a catalog table. Keys are unique in one container: a second equal one gets `~2`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._used: set[bytes] = set()
        self._columns: dict[str, list[Any]] = {
            name: []
            for name in ("id", "key", "text", "meta", "size", "mtime_ns", "etag", "reason", "message")
        }
        self._media: list[Media] = []
        self._offsets = [0]

    def add(
        self,
        unit: Unit,
        key: bytes,
        media: Sequence[Media] = (),
        *,
        size: int | None = None,
        text: str | None = None,
        meta: str | None = None,
        notes: Sequence[str] = (),
        reason: Reason | None = None,
    ) -> None:
        """One record, or a failure if `reason` is set. `size` in bytes of the medium."""
        unique = self._unique(key)
        if unique != key:
            note = f"the key {printable(key)!r} occurs again: entered as {printable(unique)!r}"
            notes = [*notes, note]
        values = {
            "id": record_id(self._source.name, unique),
            "key": printable(unique),
            "text": text,
            "meta": meta,
            "size": size,
            "mtime_ns": unit.mtime_ns,
            "etag": unit.etag,
            "reason": reason and str(reason),
            "message": "; ".join(notes) or None,
        }
        for name, value in values.items():
            self._columns[name].append(value)
        self._media += media
        self._offsets.append(len(self._media))

    def fail(self, unit: Unit, key: bytes, reason: Reason, message: str) -> None:
        """A row for something that could not be entered."""
        self.add(unit, key, reason=reason, notes=[message])

    def table(self) -> pa.Table:
        """The rows as `catalog_schema("image")`, version 0."""
        rows = len(self._offsets) - 1
        params = self._source.params
        fields = list(zip(*self._media, strict=True)) or [()] * len(MEDIA)
        structs = pa.StructArray.from_arrays(
            [pa.array(values, field.type) for values, field in zip(fields, MEDIA, strict=True)],
            fields=list(MEDIA),
        )
        columns = {
            **self._columns,
            "kind": pa.repeat("image", rows),
            "source": pa.repeat(self._source.name, rows),
            "media": pa.ListArray.from_arrays(pa.array(self._offsets, pa.int32()), structs),
            "parents": [[]] * rows,
            "synthetic": pa.repeat(params.synthetic, rows),
            "licence": pa.repeat(params.licence, rows),
            "version": [0] * rows,
        }
        arrays = [
            values if isinstance(values, pa.Array) else pa.array(values, field.type)
            for field in SCHEMA
            for values in [columns[field.name]]
        ]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def _unique(self, key: bytes) -> bytes:
        unique, n = key, 2
        while unique in self._used:
            unique = b"%s~%d" % (key, n)
            n += 1
        self._used.add(unique)
        return unique
