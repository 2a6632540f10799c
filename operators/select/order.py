"""Numbers as unsigned integers that sort the same way, for radix histograms."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def key_bits(dtype: pa.DataType) -> int:
    """How many bits the keys of a number column have: 32 or 64."""
    return 64 if np.dtype(dtype.to_pandas_dtype()).itemsize == 8 else 32


def to_keys(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Keys of integers or floats (any width, finite). -0.0 and 0.0 have one key."""
    if values.dtype.kind == "u":
        return values.astype(np.uint64)
    size = 8 if values.dtype.itemsize == 8 else 4
    bits = (values.astype(f"{values.dtype.kind}{size}") + 0).view(f"u{size}")
    sign = bits.dtype.type(1 << (8 * size - 1))
    negative = ~bits if values.dtype.kind == "f" else bits ^ sign
    return np.where(bits & sign, negative, bits | sign).astype(np.uint64)


def from_keys(keys: NDArray[np.uint64], dtype: pa.DataType) -> pa.Array:
    """The numbers that have these keys, as an array of `dtype`."""
    size = key_bits(dtype) // 8
    bits = keys.astype(f"u{size}")
    kind = np.dtype(dtype.to_pandas_dtype()).kind
    if kind != "u":
        sign = bits.dtype.type(1 << (8 * size - 1))
        negative = ~bits if kind == "f" else bits ^ sign
        bits = np.where(bits & sign, bits ^ sign, negative).view(f"{kind}{size}")
    return pa.array(bits.astype(dtype.to_pandas_dtype()), dtype)
