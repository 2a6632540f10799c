"""Records as JSON sidecars: one canonical text for one value, so that shards are reproducible.

Keys are sorted; a float32 is written with the shortest text that reads back to it; -0.0 is 0.0;
NaN and infinity are refused; binary values are hex.
"""

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa


def plain(value: Any, dtype: pa.DataType) -> Any:
    """A Python value of Arrow type `dtype` as JSON-ready data. Raises ValueError on NaN or infinity."""
    if value is None:
        return None
    if pa.types.is_floating(dtype):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in a record")
        if pa.types.is_float32(dtype):
            value = float(str(np.float32(value)))
        elif pa.types.is_float16(dtype):
            value = float(str(np.float16(value)))
        return value + 0.0
    if pa.types.is_binary(dtype) or pa.types.is_fixed_size_binary(dtype):
        return value.hex()
    if pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return [plain(v, dtype.value_type) for v in value]
    if pa.types.is_struct(dtype):
        return {f.name: plain(value[f.name], f.type) for f in dtype}
    return value


def restore(value: Any, dtype: pa.DataType) -> Any:
    """The inverse of `plain`, ready for `pa.array(..., dtype)`."""
    if value is None:
        return None
    if pa.types.is_binary(dtype) or pa.types.is_fixed_size_binary(dtype):
        return bytes.fromhex(value)
    if pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return [restore(v, dtype.value_type) for v in value]
    if pa.types.is_struct(dtype):
        return {f.name: restore(value[f.name], f.type) for f in dtype}
    return value


def dumps(data: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, UTF-8 text, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def row_to_json(row: dict[str, Any], schema: pa.Schema) -> str:
    """One record as canonical JSON. `row` holds Python values as Arrow's `to_pylist` gives them."""
    data = {f.name: plain(row[f.name], f.type) for f in schema if f.name in row}
    return dumps(data)


def row_from_json(text: str, schema: pa.Schema) -> dict[str, Any]:
    """The record of a sidecar. Raises ValueError naming a field that does not fit the schema."""
    data = json.loads(text)
    row: dict[str, Any] = {}
    for field in schema:
        if field.name not in data:
            continue
        try:
            row[field.name] = restore(data[field.name], field.type)
            pa.array([row[field.name]], field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, KeyError) as error:
            raise ValueError(f"field {field.name!r} is no {field.type}: {error}") from error
    return row
