"""Values of Parquet cells as raw bytes or as JSON-ready data."""

import math
from typing import Any

import pyarrow as pa

from thresher.operators.ingest.files import printable
from thresher.schemas.sidecar import dumps, plain


def raw(column: pa.Array) -> list[bytes | None]:
    """Each value as bytes: text as it is (it need not be UTF-8), the rest as canonical JSON."""
    if _is_text(column.type):
        return column.cast(pa.large_binary()).to_pylist()
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return column.to_pylist()
    return [None if value is None else dumps(value).encode() for value in json_ready(column)]


def json_type(dtype: pa.DataType) -> bool:
    """True if values of this type can stand in `meta`: everything but bytes."""
    if pa.types.is_struct(dtype):
        return all(json_type(field.type) for field in dtype)
    if _is_list(dtype):
        return json_type(dtype.value_type)
    kinds = ("is_boolean", "is_integer", "is_floating", "is_null", "is_decimal", "is_temporal")
    return _is_text(dtype) or any(getattr(pa.types, kind)(dtype) for kind in kinds)


def json_ready(column: pa.Array) -> list[Any]:
    """Each value as JSON-ready data: times and decimals as text, NaN and infinity as null."""
    dtype = column.type
    if pa.types.is_dictionary(dtype):
        return json_ready(column.dictionary_decode())
    if _is_text(dtype):
        return [None if v is None else printable(v) for v in column.cast(pa.large_binary()).to_pylist()]
    if pa.types.is_temporal(dtype) or pa.types.is_decimal(dtype):
        return column.cast(pa.string()).to_pylist()
    if pa.types.is_floating(dtype):
        values = column.to_pylist()
        return [None if v is None or not math.isfinite(v) else plain(v, dtype) for v in values]
    if pa.types.is_struct(dtype):
        fields = {field.name: json_ready(column.field(field.name)) for field in dtype}
        valid = column.is_valid().to_pylist()
        return [{k: v[i] for k, v in fields.items()} if ok else None for i, ok in enumerate(valid)]
    if _is_list(dtype):
        return [None if not cell.is_valid else json_ready(cell.values) for cell in column]
    return column.to_pylist()


def _is_text(dtype: pa.DataType) -> bool:
    return pa.types.is_string(dtype) or pa.types.is_large_string(dtype)


def _is_list(dtype: pa.DataType) -> bool:
    return pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype)
