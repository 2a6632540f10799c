"""The JSON members of many records at once: the text of `schemas.sidecar.row_to_json`, column by column."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from thresher.schemas import Column, ThresherError
from thresher.schemas.records import CATALOG_FIELDS, KINDS
from thresher.schemas.sidecar import dumps, plain

_KNOWN = [name for schema in KINDS.values() for name in schema.names]
_NOT_MEASURED = {*_KNOWN, *(f.name for f in CATALOG_FIELDS), "row"}
_BESIDE = ("items",)
"""What a record's other members hold: the texts of a document stand in its segments."""


def kind_of(columns: Mapping[str, Column]) -> str:
    """The kind of a table's records."""
    return "interleaved" if "items" in columns else "image"


def measured_columns(columns: Mapping[str, Column]) -> dict[str, Column]:
    """The columns that operators added, by name: no head, nothing of the run's history, no vectors, which
    are 20 times as long as all the rest."""
    return {n: columns[n] for n in sorted(columns) if n not in _NOT_MEASURED and not columns[n].vector}


def record_schema(measured: Mapping[str, Column], kind: str = "image") -> pa.Schema:
    """Fields of the exported JSON: `schema_version`, the record of that kind, its measured columns."""
    version = pa.field("schema_version", pa.int32(), nullable=False)
    own = [field for field in KINDS[kind] if field.name not in _BESIDE]
    made = (column.field() for column in measured.values())
    return pa.schema([version, *own, *made], metadata=KINDS[kind].metadata)


def records_json(table: pa.Table, schema: pa.Schema) -> list[str]:
    """Canonical JSON of each row of `table`, which holds the fields of `schema` but its version.

    Raises ThresherError naming record and column if a value is NaN or infinite.
    """
    names = [name for name in schema.names if name != "schema_version"]
    columns = [_plain(table, schema.field(name)) for name in names]
    version = {"schema_version": int(schema.metadata[b"schema_version"])}
    return [dumps(version | dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def _plain(table: pa.Table, field: pa.Field) -> list[Any]:
    values, dtype = table[field.name], field.type
    if pa.types.is_integer(dtype) or pa.types.is_string(dtype) or pa.types.is_boolean(dtype):
        return values.to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_float32(dtype) and not values.null_count:
        numbers = values.to_numpy()
        if np.isfinite(numbers).all():
            return [float(str(number)) + 0.0 for number in numbers]
    done = []
    for row, value in enumerate(values.to_pylist()):
        try:
            done.append(plain(value, dtype))
        except ValueError as error:
            record, source, key = (table[name][row].as_py() for name in ("id", "source", "key"))
            raise ThresherError(
                f"the column {field.name!r} of record {record.hex()} cannot be written: {error}",
                where=f"{source}: {key}",
                mend="The operator that wrote this column must return null or a failure instead",
            ) from error
    return done
