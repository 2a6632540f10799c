"""Records: one Arrow schema for each kind, all with the same head. Media are addresses, never bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from thresher.schemas.decisions import ID


class Media(NamedTuple):
    """Where bytes are: a whole file (`offset` and `length` None), or a byte range of one.

    `uri` is relative to the source's root and quoted by `uris.quote_path`; fragments are
    `#tar=STATE` (offset counts in the inflated stream) and `#row=N&column=C` (a Parquet cell), with
    `&item=K` where the cell holds a list.
    """

    role: str
    uri: str
    offset: int | None
    length: int | None
    format: str


MEDIA = pa.struct(
    [
        pa.field("role", pa.string()),
        pa.field("uri", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("length", pa.int64()),
        pa.field("format", pa.string()),
    ]
)

HEAD = [
    pa.field("id", ID, nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("key", pa.string(), nullable=False),
    pa.field("media", pa.list_(MEDIA), nullable=False),
    pa.field("parents", pa.list_(ID), nullable=False),
    pa.field("synthetic", pa.bool_(), nullable=False),
    pa.field("licence", pa.string(), nullable=False),
]

IMAGE_VERSION = 1
IMAGE = pa.schema(
    [
        *HEAD,
        pa.field("text", pa.string(), metadata={"meaning": "caption from a sidecar .txt or .caption"}),
        pa.field("meta", pa.string(), metadata={"meaning": "JSON text from a sidecar .json"}),
    ],
    metadata={"schema": "image", "schema_version": str(IMAGE_VERSION)},
)


class Item(NamedTuple):
    """One text or image of a document.

    `kind` is `text` or `image`; `turn` who says or shows it: `user`, `assistant`, or `none` (a plain text,
    the instructions of a system); `image` counts the record's media with the role `image`, from 0.
    """

    kind: str
    turn: str
    text: str | None = None
    image: int | None = None


ITEM = pa.struct(
    [
        pa.field("kind", pa.string()),
        pa.field("turn", pa.string()),
        pa.field("text", pa.string()),
        pa.field("image", pa.int32()),
    ]
)

INTERLEAVED_VERSION = 1
INTERLEAVED = pa.schema(
    [
        *HEAD,
        pa.field("form", pa.string(), metadata={"meaning": "text or dialogue"}),
        pa.field("items", pa.list_(ITEM), metadata={"meaning": "its texts and images, in order"}),
        pa.field("meta", pa.string(), metadata={"meaning": "JSON text of the row's other fields"}),
    ],
    metadata={"schema": "interleaved", "schema_version": str(INTERLEAVED_VERSION)},
)

KINDS: dict[str, pa.Schema] = {"image": IMAGE, "interleaved": INTERLEAVED}

CATALOG_FIELDS = [
    pa.field("version", pa.int32(), nullable=False, metadata={"meaning": "0, 1, ... as a file changes"}),
    pa.field("size", pa.int64(), metadata={"meaning": "bytes of the medium; null if unknown"}),
    pa.field("mtime_ns", pa.int64(), metadata={"meaning": "of the file that holds it"}),
    pa.field("etag", pa.string(), metadata={"meaning": "what else tells a changed file"}),
    pa.field("reason", pa.string(), metadata={"meaning": "why ingest failed the row, else null"}),
    pa.field("message", pa.string(), metadata={"meaning": "what ingest found"}),
]


def catalog_schema(kind: str) -> pa.Schema:
    """The catalog's row: the record as it entered, and the state of its file."""
    schema = KINDS[kind]
    return pa.schema([*schema, *CATALOG_FIELDS], metadata=schema.metadata)


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the catalog as a Measure sees it."""

    id: bytes
    source: str
    key: str
    media: tuple[Media, ...]
    text: str | None = None
    meta: str | None = None
    items: tuple[Item, ...] = ()

    def medium(self, role: str = "image") -> Media:
        """The first medium with this role. Raises KeyError if the record has none."""
        for medium in self.media:
            if medium.role == role:
                return medium
        raise KeyError(f"record {self.id.hex()} has no medium with role {role!r}")


def records(table: pa.Table) -> Iterator[Record]:
    """The rows of a catalog table, one at a time."""
    held = {"id", "source", "key", "media", "text", "meta", "items"} & {*table.column_names}
    for row in table.select(sorted(held)).to_pylist():
        row["media"] = tuple(Media(**m) for m in row["media"])
        if "items" in row:
            row["items"] = tuple(Item(**item) for item in row["items"] or ())
        yield Record(**row)


class Violation(NamedTuple):
    """One broken rule."""

    record: str
    field: str
    rule: str

    def __str__(self) -> str:
        return f"record {self.record}: field {self.field!r}: {self.rule}"


def validate(table: pa.Table, kind: str) -> list[Violation]:
    """Check records against their kind's schema; each violation names record, field and rule.

    Rules: every schema field is there with its type; required fields are not null; an id has 16
    bytes and occurs once; media have a role and a uri, and a byte range has both ends; an item is a text or
    one of the record's images.
    """
    found: list[Violation] = []
    schema = KINDS[kind]
    for field in schema:
        if field.name not in table.column_names:
            found.append(Violation("*", field.name, "missing from the table"))
        elif table.schema.field(field.name).type != field.type:
            actual = table.schema.field(field.name).type
            found.append(Violation("*", field.name, f"has type {actual}, not {field.type}"))
    if found:
        return found
    seen: set[bytes] = set()
    for batch in table.select(schema.names).to_batches():
        for row in batch.to_pylist():
            found.extend(_check_row(row, schema, kind, seen))
    return found


def _check_row(row: dict[str, Any], schema: pa.Schema, kind: str, seen: set[bytes]) -> Iterator[Violation]:
    name = row["id"].hex() if row["id"] else "without id"
    for field in schema:
        if not field.nullable and row[field.name] is None:
            yield Violation(name, field.name, "is required but null")
    if row["kind"] is not None and row["kind"] != kind:
        yield Violation(name, "kind", f"is {row['kind']!r}, not {kind!r}")
    if row["id"] in seen:
        yield Violation(name, "id", "occurs twice")
    seen.add(row["id"])
    for i, medium in enumerate(row["media"] or []):
        if not medium["role"] or not medium["uri"]:
            yield Violation(name, f"media[{i}]", "needs a role and a uri")
        if (medium["offset"] is None) != (medium["length"] is None):
            yield Violation(name, f"media[{i}]", "needs both offset and length, or neither")
        if any((medium[k] or 0) < 0 for k in ("offset", "length")):
            yield Violation(name, f"media[{i}]", "offset and length must not be negative")
    images = sum(medium["role"] == "image" for medium in row["media"] or [])
    for i, item in enumerate(row.get("items") or []):
        if (item["text"] is None) == (item["image"] is None):
            yield Violation(name, f"items[{i}]", "needs a text or an image, and not both")
        if item["image"] is not None and not 0 <= item["image"] < images:
            yield Violation(name, f"items[{i}]", f"is image {item['image']} of {images}")
