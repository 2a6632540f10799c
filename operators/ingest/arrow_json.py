"""Arrow values as JSON-ready data."""

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from thresher.operators.ingest.files import printable
from thresher.schemas.sidecar import plain


def is_text(dtype: pa.DataType) -> bool:
    """True for strings."""
    return pa.types.is_string(dtype) or pa.types.is_large_string(dtype)


def json_form(dtype: pa.DataType) -> pa.DataType | None:
    """The type that values take on their way into `meta`: text as bytes (it need not be UTF-8), times and
    decimals as text. None if they hold bytes, which have no place there."""
    kinds = pa.types
    if is_text(dtype):
        return pa.large_binary()
    if kinds.is_temporal(dtype) or kinds.is_decimal(dtype):
        return pa.string()
    if kinds.is_dictionary(dtype):
        return json_form(dtype.value_type)
    if kinds.is_struct(dtype):
        forms = {field.name: json_form(field.type) for field in dtype}
        return None if None in forms.values() else pa.struct(forms.items())
    if kinds.is_list(dtype) or kinds.is_large_list(dtype) or kinds.is_fixed_size_list(dtype):
        inner = json_form(dtype.value_type)
        return inner and pa.large_list(inner)
    known = (kinds.is_boolean, kinds.is_integer, kinds.is_floating, kinds.is_null)
    return dtype if any(check(dtype) for check in known) else None


def json_ready(column: pa.Array, text: Callable[[bytes], str] = printable) -> list[Any]:
    """Each value as JSON-ready data; NaN and infinity as null. The column's type has a `json_form`; `text`
    reads its texts."""
    column = column.cast(json_form(column.type))
    return [_json_value(value, column.type, text) for value in column.to_pylist()]


def _json_value(value: Any, dtype: pa.DataType, text: Callable[[bytes], str]) -> Any:
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, float):
        return plain(value, dtype) if math.isfinite(value) else None
    if isinstance(value, list):
        return [_json_value(v, dtype.value_type, text) for v in value]
    if isinstance(value, dict):
        return {name: _json_value(v, dtype.field(name).type, text) for name, v in value.items()}
    return value
