"""Scan Parquet files: one record for each row, other columns as text or JSON; never the image bytes."""

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.operators.ingest.arrow_json import is_text, json_form, json_ready
from thresher.operators.ingest.files import IMAGE_SUFFIXES, Root, extension, printable
from thresher.operators.ingest.rows import Rows, Unit
from thresher.operators.ingest.sidecars import Sidecars
from thresher.operators.ingest.source import Source
from thresher.schemas import Media, Reason
from thresher.schemas.sidecar import dumps
from thresher.schemas.uris import quote_path

IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "image_bytes", "bytes")
PATH_NAMES = ("image_path", "path", "file_name", "filename", "file", "image", "uri")
KEY_NAMES = ("__key__", "key", "id")
TEXT_NAMES = ("caption", "text", "txt", "alt_text", "alt")
"""Columns that are taken when the recipe maps none: the first that is there, in any case."""

BATCH = 4096


@dataclass(frozen=True)
class Layout:
    """Which column of a file holds what. `image` holds bytes, `{bytes, path}` or a path."""

    image: str
    bytes: bool
    path: str | None
    """Leaf with the image's path: `image.path`, or the column itself."""
    key: str | None
    text: str | None
    meta: str | None
    rest: tuple[str, ...]
    """Columns that become `meta` when none is mapped."""


def scan_table(root: Root, source: Source, unit: Unit, rows: Rows) -> None:
    """Enter the rows of one Parquet file; a damaged row group costs its own rows."""
    try:
        with root.open(unit.path) as handle, pq.ParquetFile(handle) as file:
            layout = find_layout(file.schema_arrow, source.params.columns)
            if isinstance(layout, str):
                rows.fail(unit, unit.path, Reason.NOT_MEDIA, f"{unit.uri}: {layout}")
                return
            cells, first = _Cells(root, unit, file, layout, rows), 0
            for group in range(file.num_row_groups):
                first += cells.enter_group(group, first)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            rows.fail_unread(unit, error)
        else:  # Arrow reports damaged files as OSError without a number
            rows.fail(unit, unit.path, Reason.CORRUPT, f"{unit.uri} cannot be read as Parquet: {error}")


def find_layout(schema: pa.Schema, mapped: Mapping[Any, str]) -> Layout | str:
    """The layout of a file, or what is wrong with it."""
    for role, name in mapped.items():
        if name not in schema.names:
            return f"there is no column {name!r} for {role}; the columns are {', '.join(schema.names)}"
    image = (
        mapped.get("image")
        or _first(schema, IMAGE_NAMES, _holds_bytes)
        or next((field.name for field in schema if _holds_bytes(field.type)), None)
        or _first(schema, PATH_NAMES, is_text)
    )
    if image is None:
        hint = "Name it in the recipe: columns: {image: NAME}"
        return f"no column of image bytes or paths among {', '.join(schema.names)}. {hint}"
    dtype = schema.field(image).type
    if not (_holds_bytes(dtype) or is_text(dtype)):
        return f"column {image!r} is {dtype}, neither bytes, {{bytes, path}} nor a path"
    path = image if is_text(dtype) else None
    if pa.types.is_struct(dtype) and "path" in dtype.names and is_text(dtype.field("path").type):
        path = f"{image}.path"
    key = mapped.get("key") or _first(schema, KEY_NAMES, lambda t: is_text(t) or pa.types.is_integer(t))
    text = mapped.get("text") or _first(schema, TEXT_NAMES, is_text, but=image)
    meta = mapped.get("meta")
    used = {image, key, text, meta}
    rest = () if meta else tuple(f.name for f in schema if f.name not in used and json_form(f.type))
    return Layout(image, _holds_bytes(dtype), path, key, text, meta, rest)


def _first(
    schema: pa.Schema, names: Sequence[str], fits: Callable[[pa.DataType], bool], but: str | None = None
) -> str | None:
    known = {f.name.lower(): f.name for f in reversed(list(schema)) if fits(f.type) and f.name != but}
    return next((known[name] for name in names if name in known), None)


def _holds_bytes(dtype: pa.DataType) -> bool:
    if pa.types.is_struct(dtype):
        return "bytes" in dtype.names and _holds_bytes(dtype.field("bytes").type)
    return pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype)


class _Cells:
    def __init__(self, root: Root, unit: Unit, file: pq.ParquetFile, layout: Layout, rows: Rows) -> None:
        self._root, self._unit, self._file, self._layout, self._rows = root, unit, file, layout, rows
        wanted = {layout.path, layout.key, layout.text, layout.meta, *layout.rest} - {None}
        self._wanted = sorted(name for name in wanted if name)

    def enter_group(self, group: int, first: int) -> int:
        """Enter a row group, whose first row has the number `first`; returns its rows. One failed row
        stands for those that cannot be read."""
        count: int = self._file.metadata.row_group(group).num_rows
        done = 0
        try:
            absent = self._absent_bytes(group)
            if not self._wanted:
                self._enter(first, {}, absent)
                return count
            for batch in self._batches(group, self._wanted, BATCH):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                self._enter(first + done, columns, absent[done : done + batch.num_rows])
                done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            message = f"{self._unit.uri}: rows {first + done} to {first + count - 1} cannot be read: {error}"
            key = self._unit.path + b"#rows=%d-%d" % (first + done, first + count - 1)
            self._rows.fail(self._unit, key, Reason.CORRUPT, message)
        return count

    def _batches(self, group: int, columns: list[str], size: int) -> Any:
        return self._file.iter_batches(size, row_groups=[group], columns=columns, use_threads=False)

    def _absent_bytes(self, group: int) -> Sequence[bool]:
        """For each row of a `{bytes, path}` column whether only the path is there. The statistics of the
        row group tell; only a mixed one, or one without statistics, is read."""
        meta, layout = self._file.metadata.row_group(group), self._layout
        if not layout.bytes or layout.path is None:
            return [not layout.bytes] * meta.num_rows
        leaf = f"{layout.image}.bytes"
        chunk = next(c for c in map(meta.column, range(meta.num_columns)) if c.path_in_schema == leaf)
        nulls = chunk.statistics.null_count if chunk.statistics and chunk.statistics.has_null_count else None
        if nulls in (0, meta.num_rows):
            return [nulls != 0] * meta.num_rows
        found: list[bool] = []
        for batch in self._batches(group, [leaf], 256):
            found += batch.column(0).field("bytes").is_null().to_pylist()
            self._rows.alive()
        return found

    def _enter(self, first: int, columns: dict[str, pa.Array], absent: Sequence[bool]) -> None:
        layout, unit = self._layout, self._unit
        names = (layout.path, layout.key, layout.text, layout.meta)
        paths, keys, texts, metas = (_column(columns, name, len(absent)) for name in names)
        rest = {name: json_ready(columns[name]) for name in layout.rest}
        for i, only_path in enumerate(absent):
            key = unit.path + b"#" + (b"%d" % (first + i) if keys[i] is None else keys[i])
            found = Sidecars()
            if texts[i] is not None:
                found.offer("txt", f"column {layout.text!r}", texts[i])
            if layout.meta and metas[i] is not None:
                found.offer("json", f"column {layout.meta!r}", metas[i])
            elif rest:
                found.meta = dumps({name: values[i] for name, values in rest.items()})
            medium = self._cell(first + i, paths[i])
            if only_path and paths[i] is not None:
                inside = self._root.inside(posixpath.dirname(self._unit.path), paths[i])
                if inside is None:
                    message = f"{printable(paths[i])!r} lies outside the source's root {self._root.path}"
                    self._rows.fail(unit, key, Reason.UNSAFE_MEMBER, message)
                    continue
                medium = Media("image", quote_path(inside), None, None, extension(inside))
            self._rows.add(unit, key, [medium], **found.fields())

    def _cell(self, row: int, path: bytes | None) -> Media:
        uri = f"{self._unit.uri}#row={row}&column={quote(self._layout.image, safe='')}"
        hint = extension(path) if path else self._layout.image.lower()
        return Media("image", uri, None, None, hint if hint in IMAGE_SUFFIXES else "")


def _column(columns: dict[str, pa.Array], name: str | None, count: int) -> list[Any]:
    """Raw bytes of each value, None where null; a struct's leaf is named `column.leaf`."""
    if name is None:
        return [None] * count
    if name in columns:
        return _raw(columns[name])
    outer, _, leaf = name.rpartition(".")
    return _raw(columns[outer].field(leaf)) if outer in columns else [None] * count


def _raw(column: pa.Array) -> list[bytes | None]:
    """Each value as bytes: text as it is (it need not be UTF-8), the rest as canonical JSON."""
    if is_text(column.type):
        return column.cast(pa.large_binary()).to_pylist()
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return column.to_pylist()
    return [None if value is None else dumps(value).encode() for value in json_ready(column)]
