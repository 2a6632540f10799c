"""Scan texts and conversations: one record for each row of JSON or Parquet. No image is opened here."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.operators.ingest.arrow_json import json_form, json_ready
from thresher.operators.ingest.dialogue import TEXT_NAMES, TURN_NAMES, Fault, find_field, read_document
from thresher.operators.ingest.files import Root, extension, printable
from thresher.operators.ingest.lines import Row, json_rows
from thresher.operators.ingest.rows import Rows, Unit
from thresher.operators.ingest.source import Source
from thresher.schemas import Media, Reason
from thresher.schemas.sidecar import dumps
from thresher.schemas.uris import quote_path

KEY_NAMES = ("id", "__key__", "key")
IMAGE_NAMES = ("images", "image")
"""Fields that name a row's images."""

BATCH = 256
"""Rows of Parquet that are held as Python objects."""


def scan_documents(root: Root, source: Source, unit: Unit, rows: Rows) -> None:
    """Enter the rows of one file, by its content Parquet or JSON; a bad row costs itself."""
    entered = _Entered(root, source, unit, rows)
    try:
        with root.open(unit.path) as file:
            parquet = file.read(4) == b"PAR1"
            file.seek(0)
            if parquet:
                _scan_parquet(file, unit, entered)
            else:
                for place, row in json_rows(file):
                    entered.add(place, row)
    except OSError as error:
        rows.fail_unread(unit, error)


class _Entered:
    def __init__(self, root: Root, source: Source, unit: Unit, rows: Rows) -> None:
        assert source.params.documents is not None
        self._root, self._unit, self._rows, given = root, unit, rows, source.params.documents
        self._folder = unit.path.rpartition(b"/")[0] if source.images is None else source.images
        mapped = given.text or given.conversations
        self._turns = (given.conversations,) if given.conversations else () if mapped else TURN_NAMES
        self._texts = (given.text,) if given.text else () if mapped else TEXT_NAMES
        self._keys = (given.key,) if given.key else KEY_NAMES

    def add(self, place: int, row: Row, cells: Mapping[str, Sequence[Media]] | None = None) -> None:
        """Enter a row; `cells`: its images by field where Parquet holds their bytes."""
        key = self._unit.path + b"#%d" % place
        try:
            if isinstance(row, Fault):
                raise row
            id_field = next((name for name in self._keys if _is_key(row.get(name))), None)
            if id_field is not None:
                key = self._unit.path + b"#" + _encoded(str(row[id_field]), id_field)
            image_field, images = self._images(row, cells or {})
            field, spoken = find_field(row, self._turns, self._texts)
            found = read_document(row[field], field, spoken, images)
            media = [self._medium(image) for image in found.images]
            known = {id_field, image_field, field}
            meta = _meta({name: value for name, value in row.items() if name not in known})
        except Fault as fault:
            self._rows.fail(self._unit, key, fault.reason, f"{self._unit.uri} row {place}: {fault.message}")
            return
        items = [item._asdict() for item in found.items]
        self._rows.add(self._unit, key, media, form=found.form, items=items, meta=meta)

    def fail(self, first: int, count: int, error: Exception) -> None:
        """One failed row for rows that cannot be read."""
        last = first + count - 1
        message = f"{self._unit.uri}: rows {first} to {last} cannot be read: {error}"
        self._rows.fail(self._unit, self._unit.path + b"#rows=%d-%d" % (first, last), Reason.CORRUPT, message)

    def _images(
        self, row: dict[str, Any], cells: Mapping[str, Sequence[Media]]
    ) -> tuple[str | None, list[Any]]:
        """The field that names images, and them."""
        for name in IMAGE_NAMES:
            if cells.get(name):
                return name, list(cells[name])
            if given := row.get(name):
                images = given if isinstance(given, list) else [given]
                if not all(isinstance(image, str) and image for image in images):
                    raise Fault(Reason.BAD_COLUMNS, f"{name!r} holds other things than paths of images")
                return name, images
        return None, []

    def _medium(self, image: Any) -> Media:
        """Where an image is: a cell, or a file below the folder of images."""
        if isinstance(image, Media):
            return image
        if not isinstance(image, str) or image.startswith("data:"):
            raise Fault(Reason.BAD_COLUMNS, "an image is given by its bytes: write it to a file")
        path = _encoded(image, "an image's path")
        inside = self._root.inside(self._folder, path)
        if inside is None:
            what = f"{printable(path)!r} lies outside the source's root {self._root.path}"
            raise Fault(Reason.UNSAFE_MEMBER, what[:1000])
        return Media("image", quote_path(inside), None, None, extension(inside))


def _is_key(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise Fault(Reason.CORRUPT, f"{what} holds half a character at {error.start}") from error


def _meta(rest: dict[str, Any]) -> str | None:
    """The other fields as JSON; nothing for none."""
    if not rest:
        return None
    try:
        text = dumps(rest)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise Fault(Reason.BAD_VALUE, f"a field beside the document cannot be kept: {error}") from error
    return text


def _scan_parquet(file: Any, unit: Unit, entered: _Entered) -> None:
    """Enter the rows of a Parquet file; a damaged row group costs its own rows."""
    try:
        parquet = pq.ParquetFile(file)
        pictures = {name: leaf for name in IMAGE_NAMES if (leaf := _leaf(parquet, name))}
    except (pa.ArrowException, OSError) as error:
        entered.add(0, Fault(Reason.CORRUPT, f"the file cannot be read as Parquet: {error}"))
        return
    plain = [f.name for f in parquet.schema_arrow if json_form(f.type) and f.name not in pictures]
    columns = [*plain, *pictures.values()]
    first = 0
    for group in range(parquet.num_row_groups):
        count, done = parquet.metadata.row_group(group).num_rows, 0
        try:
            for batch in parquet.iter_batches(BATCH, row_groups=[group], columns=columns, use_threads=False):
                for i, row in enumerate(_rows(batch, plain)):
                    place = first + done + i
                    cells = {name: _cells(unit, place, name, batch[name][i]) for name in pictures}
                    entered.add(place, row, cells)
                done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            entered.fail(first + done, count - done, error)
        first += count


def _rows(batch: pa.RecordBatch, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows as JSON would give them; a text that is not UTF-8 keeps its bytes, so that it is found."""
    text = partial(bytes.decode, errors="surrogateescape")
    columns = [json_ready(batch[name], text) for name in names]
    return (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


def _leaf(file: pq.ParquetFile, name: str) -> str | None:
    """What to read of a column that holds the bytes of images, or lists of them, to know where there are
    some: their paths if there are any, else the bytes. None for another column."""
    if name not in file.schema_arrow.names:
        return None
    dtype = file.schema_arrow.field(name).type
    inner = dtype.value_type if _is_list(dtype) else dtype
    held = inner.field("bytes").type if pa.types.is_struct(inner) and "bytes" in inner.names else inner
    if not (pa.types.is_binary(held) or pa.types.is_large_binary(held)):
        return None
    leaves = [file.schema.column(i).path for i in range(len(file.schema))]
    return next((leaf for leaf in leaves if leaf.startswith(f"{name}.") and leaf.endswith(".path")), name)


def _cells(unit: Unit, row: int, name: str, cell: pa.Scalar) -> list[Media]:
    """The images in a cell: its own, or one for each element of its list."""
    if not cell.is_valid:
        return []
    uri = f"{unit.uri}#row={row}&column={quote(name, safe='')}"
    if _is_list(cell.type):
        return [Media("image", f"{uri}&item={i}", None, None, "") for i in range(len(cell.values))]
    return [Media("image", uri, None, None, "")]


def _is_list(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_list(dtype) or pa.types.is_large_list(dtype))
