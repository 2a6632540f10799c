"""Numbers as unsigned integers that sort the same way, for radix histograms and for sorting."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def key_bits(dtype: pa.DataType) -> int:
    """How many bits the keys of a number column have: 32 or 64."""
    return 64 if pa.types.is_int64(dtype) or pa.types.is_uint64(dtype) or pa.types.is_float64(dtype) else 32


def to_keys(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Keys of integers or floats (any width, finite). -0.0 and 0.0 have one key."""
    if values.dtype.kind == "f":
        width = 64 if values.dtype.itemsize == 8 else 32
        bits = (values.astype(f"f{width // 8}") + 0.0).view(f"u{width // 8}")
        sign = bits.dtype.type(1 << (width - 1))
        return np.where(bits & sign, ~bits, bits | sign).astype(np.uint64)
    if values.dtype.kind == "u":
        return values.astype(np.uint64)
    width = 64 if values.dtype.itemsize == 8 else 32
    signed = values.astype(f"i{width // 8}").view(f"u{width // 8}")
    return (signed ^ signed.dtype.type(1 << (width - 1))).astype(np.uint64)


def from_keys(keys: NDArray[np.uint64], dtype: pa.DataType) -> pa.Array:
    """The numbers that have these keys, as an array of `dtype`."""
    width = key_bits(dtype)
    bits = keys.astype(f"u{width // 8}")
    sign = bits.dtype.type(1 << (width - 1))
    if pa.types.is_floating(dtype):
        values: NDArray[Any] = np.where(bits & sign, bits ^ sign, ~bits).view(f"f{width // 8}")
    elif pa.types.is_signed_integer(dtype):
        values = (bits ^ sign).view(f"i{width // 8}")
    else:
        values = bits
    return pa.array(values.astype(dtype.to_pandas_dtype()), dtype)
