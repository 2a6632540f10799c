"""Scan Parquet files: one record for each row. The column of image bytes is never read here."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.operators.ingest.cell_values import json_ready, json_type, raw
from thresher.operators.ingest.files import IMAGE_SUFFIXES, Root, extension, printable
from thresher.operators.ingest.rows import Rows, Unit
from thresher.operators.ingest.sidecars import Sidecars, decode_text
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
            first = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                _scan_group(file, group, first, count, _Cells(root, unit, layout, rows))
                first += count
    except FileNotFoundError:
        rows.fail(unit, unit.path, Reason.MISSING_SOURCE, f"{unit.uri} has vanished")
    except pa.ArrowException as error:
        rows.fail(unit, unit.path, Reason.CORRUPT, f"{unit.uri} is no Parquet file: {error}")
    except OSError as error:
        _fail_unreadable(unit, rows, error)


def _fail_unreadable(unit: Unit, rows: Rows, error: OSError) -> None:
    """Arrow reports damaged files as OSError without a number; the system's errors have one."""
    if error.errno is None:
        rows.fail(unit, unit.path, Reason.CORRUPT, f"{unit.uri} is damaged: {error}")
    else:
        rows.fail(unit, unit.path, Reason.UNREADABLE, f"{unit.uri}: {error.strerror or error}")


def find_layout(schema: pa.Schema, mapped: Mapping[Any, str]) -> Layout | str:
    """The layout of a file, or what is wrong with it."""
    for role, name in mapped.items():
        if name not in schema.names:
            return f"there is no column {name!r} for {role}; the columns are {', '.join(schema.names)}"
    image = mapped.get("image") or _image_column(schema)
    if image is None:
        hint = "Name it in the recipe: columns: {image: NAME}"
        return f"no column of image bytes or paths among {', '.join(schema.names)}. {hint}"
    dtype = schema.field(image).type
    if not (_holds_bytes(dtype) or _is_text(dtype)):
        return f"column {image!r} is {dtype}, neither bytes, {{bytes, path}} nor a path"
    key = mapped.get("key") or _first(schema, KEY_NAMES, lambda t: _is_text(t) or pa.types.is_integer(t))
    text = mapped.get("text") or _first(schema, TEXT_NAMES, _is_text, but=image)
    meta = mapped.get("meta")
    used = {image, key, text, meta}
    rest = () if meta else tuple(f.name for f in schema if f.name not in used and json_type(f.type))
    return Layout(image, _holds_bytes(dtype), _path_leaf(image, dtype), key, text, meta, rest)


def _image_column(schema: pa.Schema) -> str | None:
    named = _first(schema, IMAGE_NAMES, _holds_bytes)
    if named is None:
        named = next((f.name for f in schema if _holds_bytes(f.type)), None)
    return named or _first(schema, PATH_NAMES, _is_text)


def _first(schema: pa.Schema, names: Sequence[str], fits: Any, but: str | None = None) -> str | None:
    known = {f.name.lower(): f.name for f in reversed(list(schema)) if fits(f.type) and f.name != but}
    return next((known[name] for name in names if name in known), None)


def _holds_bytes(dtype: pa.DataType) -> bool:
    if pa.types.is_struct(dtype):
        return dtype.get_field_index("bytes") >= 0 and _holds_bytes(dtype.field("bytes").type)
    return pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype)


def _is_text(dtype: pa.DataType) -> bool:
    return pa.types.is_string(dtype) or pa.types.is_large_string(dtype)


def _path_leaf(image: str, dtype: pa.DataType) -> str | None:
    if not pa.types.is_struct(dtype):
        return image if _is_text(dtype) else None
    at = dtype.get_field_index("path")
    return f"{image}.path" if at >= 0 and _is_text(dtype.field(at).type) else None


def _scan_group(file: pq.ParquetFile, group: int, first: int, count: int, cells: "_Cells") -> None:
    layout = cells.layout
    wanted = (layout.path, layout.key, layout.text, layout.meta, *layout.rest)
    asked = {name for name in wanted if name is not None}
    done = 0
    try:
        absent = _absent_bytes(file, group, layout)
        if not asked:
            cells.enter(first, {}, count, absent)
            return
        batches = file.iter_batches(BATCH, row_groups=[group], columns=sorted(asked), use_threads=False)
        for batch in batches:
            columns = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
            cells.enter(first + done, columns, batch.num_rows, absent[done : done + batch.num_rows])
            done += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        cells.lost(first + done, first + count, error)


def _absent_bytes(file: pq.ParquetFile, group: int, layout: Layout) -> Sequence[bool]:
    """For each row of a `{bytes, path}` column whether only the path is there. The statistics of the
    row group tell; only a mixed one, or one without statistics, is read."""
    meta = file.metadata.row_group(group)
    leaf = f"{layout.image}.bytes"
    if not layout.bytes or layout.path is None:
        return [not layout.bytes] * meta.num_rows
    chunk = next(c for c in map(meta.column, range(meta.num_columns)) if c.path_in_schema == leaf)
    nulls = chunk.statistics.null_count if chunk.statistics and chunk.statistics.has_null_count else None
    if nulls in (0, meta.num_rows):
        return [nulls != 0] * meta.num_rows
    found: list[bool] = []
    for batch in file.iter_batches(256, row_groups=[group], columns=[leaf], use_threads=False):
        found += batch.column(0).field("bytes").is_null().to_pylist()
    return found


class _Cells:
    """Rows of one file on their way into the catalog."""

    def __init__(self, root: Root, unit: Unit, layout: Layout, rows: Rows) -> None:
        self._root, self._unit, self.layout, self._rows = root, unit, layout, rows

    def enter(self, first: int, columns: dict[str, pa.Array], count: int, absent: Sequence[bool]) -> None:
        """Enter `count` rows from row number `first` on."""
        layout = self.layout
        paths = _column(columns, layout.path, count)
        keys, texts, metas = (_column(columns, n, count) for n in (layout.key, layout.text, layout.meta))
        rest = {name: json_ready(columns[name]) for name in layout.rest}
        for i in range(count):
            key = self._unit.path + b"#" + (b"%d" % (first + i) if keys[i] is None else keys[i])
            found = Sidecars()
            found.text = None if texts[i] is None else decode_text(texts[i])
            if layout.meta and metas[i] is not None:
                found.offer("json", f"column {layout.meta!r}", metas[i])
            elif rest:
                found.meta = dumps({name: values[i] for name, values in rest.items()})
            if absent[i] and paths[i] is not None:
                self._enter_path(key, paths[i], found)
            else:
                self._rows.add(self._unit, key, [self._cell(first + i, paths[i])], **found.fields())

    def lost(self, first: int, end: int, error: Exception) -> None:
        """One failed row for the rows that cannot be read."""
        message = f"{self._unit.uri}: rows {first} to {end - 1} cannot be read: {error}"
        key = self._unit.path + b"#rows=%d-%d" % (first, end - 1)
        self._rows.fail(self._unit, key, Reason.CORRUPT, message)

    def _cell(self, row: int, path: bytes | None) -> Media:
        uri = f"{self._unit.uri}#row={row}&column={quote(self.layout.image, safe='')}"
        hint = extension(path) if path else self.layout.image.lower()
        return Media("image", uri, None, None, hint if hint in IMAGE_SUFFIXES else "")

    def _enter_path(self, key: bytes, path: bytes, found: Sidecars) -> None:
        inside = self._inside(path)
        if inside is None:
            message = f"{printable(path)!r} lies outside the source's root {self._root.path}"
            self._rows.fail(self._unit, key, Reason.UNSAFE_MEMBER, message)
            return
        medium = Media("image", quote_path(inside), None, None, extension(inside))
        self._rows.add(self._unit, key, [medium], **found.fields())

    def _inside(self, path: bytes) -> bytes | None:
        """`path`, relative to the file's folder or below the root's address, relative to the root."""
        full = self._root.join(b"").rstrip(b"/") + b"/"
        address = self._root.fs.unstrip_protocol(self._root.path).encode().rstrip(b"/") + b"/"
        for start in (full, address):
            if path.startswith(start):
                path = b"/" + path[len(start) :]
                break
        else:
            if path.startswith(b"/") or b"://" in path:
                return None
            path = b"/" + posixpath.join(posixpath.dirname(self._unit.path), path)
        relative = posixpath.normpath(path[1:])
        return None if relative.startswith((b"../", b"/")) or relative in (b"..", b".") else relative


def _column(columns: dict[str, pa.Array], name: str | None, count: int) -> list[Any]:
    """Raw bytes of each value, None where null; a struct's leaf is named `column.leaf`."""
    if name is None:
        return [None] * count
    if name in columns:
        return raw(columns[name])
    outer, _, leaf = name.rpartition(".")
    return raw(columns[outer].field(leaf)) if outer in columns else [None] * count
